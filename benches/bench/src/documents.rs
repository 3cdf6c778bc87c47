//! Puts the figures into `docs/`.

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};

use crate::{plots, report::Report};

const BEGIN: &str = "<!-- bench table -->";
const END: &str = "<!-- /bench table -->";

/// Writes the tables into `performance.md`, and the figures and plots beside it.
pub fn write(report: &Report, json: &str, docs: &Path) -> anyhow::Result<()> {
    let page = docs.join("performance.md");
    let text = fs::read_to_string(&page).with_context(|| format!("reading {}", page.display()))?;
    let text = with_tables(&text, &tables(report))
        .with_context(|| format!("{}: the tables' place", page.display()))?;
    let folder = docs.join("performance");
    fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    let keep = |name: &str, content: &str| {
        let path = folder.join(name);
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))
    };
    keep("bench.json", json)?;
    if let Some(svg) = plots::latency(&report.curve)? {
        keep("latency.svg", &svg)?;
    }
    if let Some(svg) = plots::concurrency(&report.series)? {
        keep("concurrency.svg", &svg)?;
    }
    fs::write(&page, text).with_context(|| format!("writing {}", page.display()))
}

/// The tables with where and when they were measured.
fn tables(report: &Report) -> String {
    let cautions = report.cautions.iter().map(|caution| format!("**{caution}**\n\n"));
    let notes: String = report.notes().iter().map(|note| format!("{note}\n\n")).collect();
    format!(
        "{}Measured on {}; {}.\n\n{}\n{}.\n\n{}\n{}",
        cautions.collect::<String>(),
        report.machine.line(),
        report.pinning,
        report.targets().markdown(),
        report.conclusion(),
        report.runs().markdown(),
        // A star would begin a list.
        notes.replace("* ", "\\* "),
    )
}

/// The text with everything between the marks replaced.
fn with_tables(text: &str, tables: &str) -> anyhow::Result<String> {
    let (before, rest) = text.split_once(BEGIN).with_context(|| format!("there is no {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("there is no {END} behind"))?;
    ensure!(!after.contains(BEGIN), "{BEGIN} is there twice");
    Ok(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", tables.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_the_marks_is_replaced() {
        let text = "# A\n<!-- bench table -->\nold\n<!-- /bench table -->\nrest\n";
        let once = with_tables(text, "new\n").expect("marks");
        let expected = "# A\n<!-- bench table -->\n\nnew\n\n<!-- /bench table -->\nrest\n";
        assert_eq!(once, expected);
        assert_eq!(with_tables(&once, "new\n").expect("marks"), once, "again and again");
    }

    #[test]
    fn a_page_without_marks_is_left_alone() {
        for text in ["", "<!-- bench table -->", "<!-- /bench table --> <!-- bench table -->"] {
            assert!(with_tables(text, "new").is_err(), "{text}");
        }
    }
}
