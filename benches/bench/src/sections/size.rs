//! How large the program is that people get.

use super::Section;
use crate::{
    lab::{Lab, OUTRIGGER},
    samples::Samples,
    series::megabytes,
    verdict::{Finding, Target},
};

struct Size(Samples);

pub fn open(_: &mut Lab) -> anyhow::Result<Box<dyn Section>> {
    Ok(Box::new(Size(Samples::default())))
}

impl Section for Size {
    fn round(&mut self, lab: &mut Lab, _round: usize) -> anyhow::Result<()> {
        let bytes = std::fs::metadata(&lab.programs.outrigger)?.len();
        self.0.push(OUTRIGGER, "size", megabytes(bytes));
        if let Some(daprd) = &lab.programs.daprd {
            self.0.push("daprd", "size", megabytes(std::fs::metadata(daprd)?.len()));
        }
        Ok(())
    }

    fn findings(&self) -> Vec<Finding> {
        let target = Target::at_most(15.0).aiming_at(10.0);
        let ours = self.0.of(OUTRIGGER, "size").to_vec();
        let mut found = vec![Finding::new("size of the binary", "MB", ours, target)];
        let daprd = self.0.of("daprd", "size").to_vec();
        if !daprd.is_empty() {
            found.push(Finding::told("size of the binary, daprd", "MB", daprd));
        }
        found
    }
}
