//! What a compiled rule uses that does not exist, and what in it cannot be evaluated.
//!
//! CEL finds both only when it evaluates that part, which for a trip rule is during the outage it
//! was written for. So every part is tried out once on sample counts when the rule is compiled.

use std::{collections::BTreeSet, sync::Arc};

use cel::{
    Context, Env, ExecutionError, Program, Value,
    common::ast::{CallExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, LiteralValue},
};

use super::Counts;

/// What there is to say against a rule.
pub(super) struct Findings {
    /// Functions that CEL does not have.
    pub(super) unknown_functions: BTreeSet<String>,
    /// Variables that no count is called.
    pub(super) unknown_variables: Vec<String>,
    /// A part that can never be evaluated although its names exist, or a result of another type.
    pub(super) flaw: Option<String>,
}

/// No count is zero, so that no division fails for that reason.
const SAMPLE: Counts = Counts {
    requests: 3,
    total_successes: 1,
    total_failures: 2,
    consecutive_successes: 1,
    consecutive_failures: 1,
};

/// Looks at every part of a rule.
pub(super) fn inspect(program: &Program, env: &Arc<Env>) -> Findings {
    let mut context = Context::with_env(Arc::clone(env));
    context.set_variable_resolver(&SAMPLE);
    let mut inspector = Inspector {
        context: &context,
        bound: Vec::new(),
        functions: BTreeSet::new(),
        variables: BTreeSet::new(),
        mismatch: None,
    };
    inspector.visit(program.expression());
    let Inspector { functions, variables, mismatch, .. } = inspector;
    let flaw = mismatch.or_else(|| match program.execute(&context) {
        Ok(Value::Bool(_)) | Err(_) => None,
        Ok(other) => Some(format!("its result is of type {}, not bool", other.type_of())),
    });
    Findings {
        unknown_functions: functions,
        unknown_variables: variables.into_iter().collect(),
        flaw,
    }
}

struct Inspector<'a> {
    context: &'a Context<'a, 'a>,
    /// The names that macros such as `all` and `exists` declare around the part looked at.
    bound: Vec<String>,
    functions: BTreeSet<String>,
    variables: BTreeSet<String>,
    mismatch: Option<String>,
}

impl Inspector<'_> {
    fn visit(&mut self, part: &IdedExpr) {
        match &part.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => self.visit_name(name, part),
            Expr::Call(call) => self.visit_call(call, part),
            Expr::Select(select) => self.visit(&select.operand),
            Expr::List(list) => list.elements.iter().for_each(|element| self.visit(element)),
            Expr::Map(map) => self.visit_entries(&map.entries),
            Expr::Struct(message) => self.visit_entries(&message.entries),
            Expr::Comprehension(comprehension) => {
                self.visit(&comprehension.iter_range);
                self.visit(&comprehension.accu_init);
                let outside = self.bound.len();
                self.bound.push(comprehension.accu_var.clone());
                self.bound.push(comprehension.iter_var.clone());
                self.bound.extend(comprehension.iter_var2.clone());
                self.visit(&comprehension.loop_cond);
                self.visit(&comprehension.loop_step);
                self.visit(&comprehension.result);
                self.bound.truncate(outside);
            }
        }
    }

    fn visit_entries(&mut self, entries: &[IdedEntryExpr]) {
        for entry in entries {
            match &entry.expr {
                EntryExpr::StructField(field) => self.visit(&field.value),
                EntryExpr::MapEntry(pair) => {
                    self.visit(&pair.key);
                    self.visit(&pair.value);
                }
            }
        }
    }

    /// A name that is neither a count nor a type's.
    fn visit_name(&mut self, name: &str, part: &IdedExpr) {
        let is_bound = self.bound.iter().any(|bound| bound == name);
        if !is_bound && self.is_undeclared(part) {
            self.variables.insert(name.to_owned());
        }
    }

    fn visit_call(&mut self, call: &CallExpr, part: &IdedExpr) {
        if is_function_name(&call.func_name) && !self.has_function(&call.func_name) {
            self.functions.insert(call.func_name.clone());
        }
        if let Some(target) = &call.target {
            self.visit(target);
        }
        call.args.iter().for_each(|argument| self.visit(argument));
        // The innermost mismatch says the most, and the visits above come first.
        if self.bound.is_empty() && self.mismatch.is_none() {
            self.mismatch = Value::resolve(part, self.context).err().and_then(mismatch);
        }
    }

    /// The environment does not tell which functions it has, but a call that fits none of a
    /// function's forms fails in another way than a call of a function that is not there.
    fn has_function(&self, name: &str) -> bool {
        let call = |target| IdedExpr {
            id: 0,
            expr: Expr::Call(CallExpr { func_name: name.to_owned(), target, args: Vec::new() }),
        };
        let literal = IdedExpr { id: 0, expr: Expr::Literal(LiteralValue::Null) };
        !self.is_undeclared(&call(None)) || !self.is_undeclared(&call(Some(Box::new(literal))))
    }

    fn is_undeclared(&self, part: &IdedExpr) -> bool {
        matches!(Value::resolve(part, self.context), Err(ExecutionError::UndeclaredReference(_)))
    }
}

/// Operators are calls, too, of functions whose names nobody can write: `_>=_`, `!_`, `@in`.
fn is_function_name(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
}

/// What the error says if the types are at fault and not the sample counts.
fn mismatch(error: ExecutionError) -> Option<String> {
    match error {
        ExecutionError::NoSuchOverload(_)
        | ExecutionError::ValuesNotComparable(..)
        | ExecutionError::UnsupportedBinaryOperator(..)
        | ExecutionError::UnsupportedTargetType { .. }
        | ExecutionError::UnexpectedType { .. }
        | ExecutionError::NotSupportedAsMethod { .. }
        | ExecutionError::InvalidArgumentCount { .. }
        | ExecutionError::MissingArgumentOrTarget => Some(error.to_string()),
        // The enum is not ours to match exhaustively. All else depends on the counts.
        _ => None,
    }
}
