//! Collects what the loading has to say: what ends the start, and what is only logged.

use std::collections::BTreeMap;

use crate::resources::{
    Strictness,
    error::{Place, Problem},
};

/// The scope of most of the runtime's lines.
pub const RUNTIME: &str = "dapr.runtime";

/// A line for the log, in the order in which it is to appear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How much it matters.
    pub level: Level,
    /// The line's scope.
    pub scope: &'static str,
    /// The line's text.
    pub text: String,
}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For who looks closely.
    Debug,
    /// Worth knowing.
    Info,
    /// Probably not what was meant.
    Warning,
    /// Something does not work.
    Error,
}

/// How much was said.
#[derive(Clone, Copy)]
pub struct Told {
    problems: usize,
    notices: usize,
}

/// What was said so far.
pub struct Report {
    strictness: Strictness,
    /// What ends the start.
    pub problems: Vec<Problem>,
    /// What is logged.
    pub notices: Vec<Notice>,
}

impl Report {
    pub fn new(strictness: Strictness) -> Self {
        Self { strictness, problems: Vec::new(), notices: Vec::new() }
    }

    pub fn is_strict(&self) -> bool {
        self.strictness == Strictness::Strict
    }

    /// Ends the start, in lenient mode too.
    pub fn refuse(&mut self, place: Place, message: impl Into<String>) {
        self.problems.push(Problem { place: Some(place), message: message.into() });
    }

    /// Ends the start because of something that is in no file.
    pub fn refuse_start(&mut self, message: impl Into<String>) {
        self.problems.push(Problem { place: None, message: message.into() });
    }

    /// Ends a strict start; a lenient one goes on with a warning.
    pub fn refuse_if_strict(&mut self, place: Place, message: impl Into<String>) {
        let problem = Problem { place: Some(place), message: message.into() };
        if self.is_strict() {
            self.problems.push(problem);
        } else {
            self.warn(problem.to_string());
        }
    }

    /// What daprd passes over in silence: ends a strict start, else warnings.
    pub fn ignored(&mut self, mut problems: Vec<Problem>) {
        problems.sort_by_key(|problem| problem.place.as_ref().map(|place| place.at));
        if self.is_strict() {
            self.problems.extend(problems);
        } else {
            for problem in problems {
                self.warn(problem.to_string());
            }
        }
    }

    /// What was said so far.
    pub fn told(&self) -> Told {
        Told { problems: self.problems.len(), notices: self.notices.len() }
    }

    /// Puts the names of variables where their values were told since: they are not for the log.
    pub fn name_variables(&mut self, since: Told, variables: &BTreeMap<String, String>) {
        let mut texts: Vec<&mut String> = Vec::new();
        for Problem { place, message } in &mut self.problems[since.problems..] {
            texts.extend(place.as_mut().map(|place| &mut place.field));
            texts.push(message);
        }
        texts.extend(self.notices[since.notices..].iter_mut().map(|notice| &mut notice.text));
        for text in texts {
            for (name, value) in variables {
                *text = text.replace(value, &format!("${name}"));
            }
        }
    }

    /// Logs a warning that belongs to a field.
    pub fn warn_at(&mut self, place: &Place, message: impl AsRef<str>) {
        self.warn(format!("{place}: {}", message.as_ref()));
    }

    pub fn warn(&mut self, text: impl Into<String>) {
        self.say(Level::Warning, text);
    }

    pub fn say(&mut self, level: Level, text: impl Into<String>) {
        self.notices.push(Notice { level, scope: RUNTIME, text: text.into() });
    }
}
