//! Standing where Dapr's CLI looks for daprd, and going away again.

use std::{
    env, fs,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process,
};

use super::{ExitCode, FAILED, SUCCESS, complain, print};
use crate::cli::Install;

/// What tells this program's files, whatever their version, from others.
#[used]
static MARK: [u8; 37] = *b"outrigger-executable-mark-53d1c2a6e9b";

/// Why nothing was changed, or how far it got.
#[derive(Debug, thiserror::Error)]
enum InstallError {
    #[error("the home directory is not known: give --runtime-path")]
    NoBase,
    #[error(
        "there is no daprd at {}: run `dapr init` first, give the right --runtime-path, or install \
         all the same with --force", .0.display()
    )]
    NothingThere(PathBuf),
    #[error("{} is not ours: {} is left as it is", daprd.display(), original.display())]
    NotOurs { daprd: PathBuf, original: PathBuf },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Carries the command out.
pub(super) fn install(install: Install) -> ExitCode {
    let Install { base, force, undo } = install;
    let done = base.ok_or(InstallError::NoBase).and_then(|base| {
        let place = Place::in_base(&base);
        if undo { place.clear() } else { place.fill(&own_path()?, force) }
    });
    match done {
        Ok(told) => {
            print(&format!("{told}\n"));
            SUCCESS
        }
        Err(error) => {
            complain(&error.to_string());
            FAILED
        }
    }
}

fn own_path() -> Result<PathBuf, InstallError> {
    env::current_exe().map_err(at(Path::new("this program")))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> InstallError {
    let path = path.to_owned();
    move |source| InstallError::Io { path, source }
}

/// The CLI's folder.
struct Place {
    daprd: PathBuf,
    original: PathBuf,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occupant {
    Nobody,
    Outrigger,
    Other,
}

impl Place {
    fn in_base(base: &Path) -> Self {
        let folder = base.join(".dapr").join("bin");
        Self { daprd: folder.join("daprd"), original: folder.join("daprd.dapr-original") }
    }

    /// Puts this program there. What the CLI installed since the last time becomes the original.
    fn fill(&self, own: &Path, force: bool) -> Result<String, InstallError> {
        let Self { daprd, original } = self;
        let occupant = occupant(daprd)?;
        match occupant {
            Occupant::Nobody if !force && !original.exists() => {
                return Err(InstallError::NothingThere(daprd.clone()));
            }
            Occupant::Outrigger if same_content(own, daprd)? => {
                return Ok(format!("{} is this program already", daprd.display()));
            }
            Occupant::Nobody | Occupant::Outrigger | Occupant::Other => {}
        }
        let copy = self.copy(own)?;
        if occupant == Occupant::Other {
            fs::rename(daprd, original).map_err(at(daprd))?;
        }
        if let Err(source) = fs::rename(&copy, daprd) {
            let _ = fs::remove_file(&copy);
            if occupant == Occupant::Other {
                let _ = fs::rename(original, daprd);
            }
            return Err(at(daprd)(source));
        }
        let mut told = format!("{} is this program now", daprd.display());
        if original.exists() {
            told.push_str(&format!("; Dapr's own is kept as {}", original.display()));
        }
        Ok(told)
    }

    /// Puts the original back, or leaves nothing where nothing was.
    fn clear(&self) -> Result<String, InstallError> {
        let Self { daprd, original } = self;
        match (occupant(daprd)?, original.exists()) {
            (Occupant::Outrigger | Occupant::Nobody, true) => {
                fs::rename(original, daprd).map_err(at(original))?;
                Ok(format!("{} is Dapr's own again", daprd.display()))
            }
            (Occupant::Outrigger, false) => {
                fs::remove_file(daprd).map_err(at(daprd))?;
                Ok(format!("{} is removed; there was none before", daprd.display()))
            }
            (Occupant::Other, true) => {
                let (daprd, original) = (daprd.clone(), original.clone());
                Err(InstallError::NotOurs { daprd, original })
            }
            (Occupant::Nobody | Occupant::Other, false) => {
                Ok(format!("{} is not this program; nothing to undo", daprd.display()))
            }
        }
    }

    /// A copy beside the place, so that it can be moved in at once even while a daprd runs.
    fn copy(&self, own: &Path) -> Result<PathBuf, InstallError> {
        if let Some(folder) = self.daprd.parent() {
            fs::create_dir_all(folder).map_err(at(folder))?;
        }
        let copy = self.daprd.with_file_name(format!(".daprd.new-{}", process::id()));
        let copied = fs::copy(own, &copy)
            .and_then(|_| fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)));
        if let Err(source) = copied {
            let _ = fs::remove_file(&copy);
            return Err(at(&copy)(source));
        }
        Ok(copy)
    }
}

fn occupant(path: &Path) -> Result<Occupant, InstallError> {
    match fs::File::open(path) {
        Ok(file) => {
            let is_ours = contains(file, &MARK).map_err(at(path))?;
            Ok(if is_ours { Occupant::Outrigger } else { Occupant::Other })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Occupant::Nobody),
        Err(source) => Err(at(path)(source)),
    }
}

/// Whether a stream has these bytes in it, wherever its reads happen to be cut.
fn contains(mut stream: impl io::Read, sought: &[u8]) -> io::Result<bool> {
    let mut bytes = Vec::new();
    loop {
        let count = (&mut stream).take(1 << 20).read_to_end(&mut bytes)?;
        if bytes.windows(sought.len()).any(|window| window == sought) {
            return Ok(true);
        }
        if count == 0 {
            return Ok(false);
        }
        bytes.drain(..bytes.len().saturating_sub(sought.len() - 1));
    }
}

fn same_content(one: &Path, other: &Path) -> Result<bool, InstallError> {
    let one = fs::read(one).map_err(at(one))?;
    Ok(one == fs::read(other).map_err(at(other))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes three at a time.
    struct Drops<'a>(&'a [u8]);

    impl io::Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(buffer.len()).min(3);
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn a_mark_is_found_wherever_reads_are_cut() {
        for before in [0, 1, (1 << 20) - 3, (1 << 20), (2 << 20) + 1] {
            let bytes = [vec![b'x'; before], MARK.to_vec(), b"yy".to_vec()].concat();
            assert!(contains(Drops(&bytes), &MARK).unwrap(), "{before}");
            assert!(!contains(Drops(&bytes[..bytes.len() - 3]), &MARK).unwrap(), "{before}");
        }
        assert!(!contains(Drops(b""), &MARK).unwrap());
    }
}
