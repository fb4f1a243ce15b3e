//! Reading a command line of the agent, and its `--help`.

use std::fmt::Write as _;

use super::arguments::{ARGUMENTS, Apply, Argument, ParsedArgs, Parsing, number};
use super::options::AgentOptions;

/// A command line that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

impl AgentOptions {
    /// Reads a command line (without the program's name). Values are given as `--name value` or `--name=value`.
    pub fn from_args(args: &[String]) -> Result<ParsedArgs, UsageError> {
        let mut parsing = Parsing::default();
        let mut seen = Vec::new();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let (name, glued) = match arg.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value)),
                _ => (if arg == "-h" { "--help" } else { arg }, None),
            };
            let argument = ARGUMENTS
                .iter()
                .find(|argument| argument.name == name)
                .ok_or_else(|| UsageError(format!("unknown argument {name:?}")))?;
            if seen.contains(&argument.name) {
                return Err(UsageError(format!("{name} is given twice")));
            }
            seen.push(argument.name);
            let mut value = || value_of(name, glued, &mut args);
            let invalid = |value: &str, problem: String| UsageError(format!("{name} {value}: {problem}"));
            match &argument.apply {
                Apply::Switch(_) if glued.is_some() => return Err(UsageError(format!("{name} takes no value"))),
                Apply::Switch(apply) => apply(&mut parsing),
                Apply::Value(apply) => {
                    let value = value()?;
                    apply(&mut parsing, value).map_err(|problem| invalid(value, problem))?;
                }
                Apply::Count(range, option) => {
                    let value = value()?;
                    let count = number(value, range.clone()).map_err(|problem| invalid(value, problem))?;
                    *option(&mut parsing.options) = count;
                }
            }
        }
        parsing.finish().map_err(UsageError)
    }

    /// What `--help` prints about the options: one line each.
    pub fn help() -> String {
        let left = |argument: &Argument| match argument.value {
            Some(value) => format!("{} {value}", argument.name),
            None => argument.name.to_owned(),
        };
        let width = ARGUMENTS.iter().map(|a| left(a).len()).max().unwrap_or(0);
        let mut help = String::new();
        for argument in ARGUMENTS {
            let _ = write!(help, "  {:width$}  {}", left(argument), argument.help);
            if let Some(default) = argument.default {
                let _ = write!(help, " (default {default})");
            }
            help.push('\n');
        }
        help
    }
}

/// The value of an option: behind its `=`, or the next argument.
fn value_of<'a>(
    name: &str,
    glued: Option<&'a str>,
    args: &mut std::slice::Iter<'a, String>,
) -> Result<&'a str, UsageError> {
    let next = || args.next().map(String::as_str).filter(|value| !value.starts_with("--"));
    let value = glued.or_else(next).filter(|value| !value.is_empty());
    value.ok_or_else(|| UsageError(format!("{name} needs a value")))
}
