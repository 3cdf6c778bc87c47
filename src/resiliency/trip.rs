//! The rule that opens a circuit: a CEL expression over the five counts.
//!
//! It is compiled once and evaluated on failures only, in one environment that all rules share.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use cel::{
    Context, Env, Program, Value,
    common::{types::CelInt, value::CowVal},
    context::VariableResolver,
};

use super::circuit::Counts;

mod inspection;
#[cfg(test)]
mod tests;

/// When a circuit opens.
#[derive(Clone)]
pub struct TripRule(Rule);

#[derive(Clone)]
enum Rule {
    /// What gobreaker does where no rule was given: more than five failures in a row.
    Default,
    Written(Arc<Written>),
}

struct Written {
    text: String,
    program: Program,
    unknown_names: Vec<String>,
    flaw: Option<String>,
}

impl Written {
    fn compile(text: &str) -> Result<Self, TripRuleError> {
        let program = ENV.compile(text).map_err(|errors| syntax_error(text, &errors))?;
        let findings = inspection::inspect(&program, &ENV);
        if let Some(name) = findings.unknown_functions.into_iter().next() {
            return Err(TripRuleError::UnknownFunction { rule: text.to_owned(), name });
        }
        Ok(Self {
            text: text.to_owned(),
            program,
            unknown_names: findings.unknown_variables,
            flaw: findings.flaw,
        })
    }
}

/// Why a text is no trip rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TripRuleError {
    /// It is no CEL expression.
    #[error("trip rule {rule:?} has a syntax error at line {line}, column {column}: {problem}")]
    Syntax {
        /// The rule.
        rule: String,
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
        /// What the parser found.
        problem: String,
    },
    /// It is deeper than any rule about five numbers needs to be.
    #[error("trip rule of {length} letters is too long or nested too deeply")]
    TooDeep {
        /// How many letters the rule has: too many to show it.
        length: usize,
    },
    /// It calls a function that CEL does not have. This hangs daprd.
    #[error("trip rule {rule:?} calls the function {name:?}, which does not exist")]
    UnknownFunction {
        /// The rule.
        rule: String,
        /// The function's name.
        name: String,
    },
}

impl TripRule {
    /// The names of the counts, which a rule may use.
    pub const VARIABLES: [&str; 5] = [
        "requests",
        "totalSuccesses",
        "totalFailures",
        "consecutiveSuccesses",
        "consecutiveFailures",
    ];

    /// The rule where none was given: `consecutiveFailures > 5`.
    pub const fn default_rule() -> Self {
        Self(Rule::Default)
    }

    /// Compiles a rule; an empty text is the default rule.
    pub fn parse(text: &str) -> Result<Self, TripRuleError> {
        if text.is_empty() {
            return Ok(Self::default_rule());
        }
        if is_too_deep(text) {
            return Err(TripRuleError::TooDeep { length: text.chars().count() });
        }
        on_a_deep_stack(|| Written::compile(text))
            .map(|written| Self(Rule::Written(Arc::new(written))))
    }

    /// The names in the rule that are no count. Where evaluating meets one, the answer is "no".
    pub fn unknown_names(&self) -> &[String] {
        match &self.0 {
            Rule::Default => &[],
            Rule::Written(written) => &written.unknown_names,
        }
    }

    /// What else keeps the rule, or a part of it, from ever saying "yes": types that do not go
    /// together, or a result that is no truth value.
    pub fn flaw(&self) -> Option<&str> {
        match &self.0 {
            Rule::Default => None,
            Rule::Written(written) => written.flaw.as_deref(),
        }
    }

    /// Whether these counts open the circuit. What cannot be evaluated does not.
    pub fn matches(&self, counts: &Counts) -> bool {
        match &self.0 {
            Rule::Default => counts.consecutive_failures > 5,
            Rule::Written(written) => {
                let mut context = Context::with_env(Arc::clone(&ENV));
                context.set_variable_resolver(counts);
                matches!(written.program.execute(&context), Ok(Value::Bool(true)))
            }
        }
    }

    /// The rule as it was written; empty for the default rule.
    pub fn text(&self) -> &str {
        match &self.0 {
            Rule::Default => "",
            Rule::Written(written) => &written.text,
        }
    }
}

impl PartialEq for TripRule {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl fmt::Debug for TripRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TripRule").field(&self.text()).finish()
    }
}

impl VariableResolver for Counts {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let count = match variable {
            "requests" => self.requests,
            "totalSuccesses" => self.total_successes,
            "totalFailures" => self.total_failures,
            "consecutiveSuccesses" => self.consecutive_successes,
            "consecutiveFailures" => self.consecutive_failures,
            _ => return None,
        };
        Some(CowVal::owned(CelInt::from(i64::from(count))))
    }
}

/// Building it takes forty times as long as evaluating a rule.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// Does the work on a thread of its own: the parser needs more than 100 KiB of stack for every
/// bracket in a debug build, and an overflow ends the process. Evaluating needs far less.
fn on_a_deep_stack<T: Send>(work: impl Fn() -> T + Sync) -> T {
    const STACK: usize = 32 * 1024 * 1024;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, &work);
        match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            // No thread is to be had: the stack at hand does for all but the strangest rules.
            Err(_) => work(),
        }
    })
}

/// The parser and the evaluation call themselves at every bracket and operator.
fn is_too_deep(text: &str) -> bool {
    const MOST_BRACKETS: usize = 16;
    const MOST_OPERATORS: usize = 32;
    let (mut open, mut operators, mut in_operator) = (0usize, 0, false);
    for c in text.chars() {
        let is_operator = "+-*/%<>=!&|?:.,".contains(c);
        match c {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            // A row of signs such as `>=` is one operator, but `--1` and `!!true` are two each.
            _ if is_operator && (!in_operator || matches!(c, '-' | '!')) => operators += 1,
            _ => {}
        }
        in_operator = is_operator;
        if open > MOST_BRACKETS || operators > MOST_OPERATORS {
            return true;
        }
    }
    false
}

fn syntax_error(rule: &str, errors: &cel::ParseErrors) -> TripRuleError {
    let first = errors.errors.first();
    let (line, column) = first.map_or((1, 1), |error| error.pos);
    TripRuleError::Syntax {
        rule: rule.to_owned(),
        line: usize::try_from(line).unwrap_or_default().max(1),
        column: usize::try_from(column).unwrap_or_default().max(1),
        problem: first.map_or("not an expression".to_owned(), |error| in_short(&error.msg)),
    }
}

/// What the parser found, without its list of all that could stand there instead.
fn in_short(message: &str) -> String {
    let found = message.split(" expecting ").next().unwrap_or_default();
    if found.contains("'<EOF>'") {
        return "something is missing at the end".to_owned();
    }
    match found.split_once('\'') {
        Some((_, token)) => {
            format!("unexpected '{}'", printable(token.trim_end_matches('\'').trim()))
        }
        None => found.lines().collect::<Vec<_>>().join(" ").to_lowercase(),
    }
}

/// The text with its control characters escaped.
fn printable(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    text.chars().map(escaped).collect()
}
