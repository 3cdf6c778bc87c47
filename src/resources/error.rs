//! What is wrong with resources, said so that the reader can mend it without searching.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::resources::yaml::Position;

/// Everything that is wrong with all files, in the order of files and lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadErrors(Vec<Problem>);

impl LoadErrors {
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        let rank =
            |problem: &Problem| problem.place.as_ref().map(|place| (place.file.clone(), place.at));
        problems.sort_by_key(rank);
        problems.dedup();
        Self(problems)
    }

    /// The problems, one by one.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for LoadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadErrors {}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is wrong; `None` if it is in no file, as a missing folder.
    pub place: Option<Place>,
    /// What was found and what is valid; never a secret.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// A field of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Where in the file.
    pub at: Position,
    /// The field, from the document's top: `spec.metadata[0].value`; empty for the document.
    pub field: String,
}

impl Place {
    /// A place in a file.
    pub fn new(file: &Path, at: Position, field: impl Into<String>) -> Self {
        Self { file: file.to_owned(), at, field: field.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.at;
        write!(f, "{}:{line}:{column}", self.file.display())?;
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        Ok(())
    }
}
