//! How daprd's flag library, pflag, takes a command line apart; refusals are in its words.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

use super::go_flag::is_bool;

/// What stands on a command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// Each flag as `--name=value`, or as `--name` for a bool.
    pub(super) flags: Vec<String>,
    /// The names of the flags given.
    pub(super) given: Vec<String>,
    /// How many words were read; what follows them is no flag.
    pub(super) read: usize,
    /// Whether `--help` or `-h` came.
    pub(super) help: bool,
}

/// What a word that is no flag does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Positional {
    /// Nothing: daprd overlooks it.
    Overlooked,
    /// It begins the application's command.
    EndsFlags,
}

/// Which words a command line may have.
pub(super) struct Grammar<'a> {
    /// The flags.
    pub(super) flagset: &'a Command,
    /// Their one-letter names.
    pub(super) shorthands: &'a [(char, &'static str)],
    /// What other words do.
    pub(super) positional: Positional,
}

impl Grammar<'_> {
    /// Sorts the words of a command line as pflag does, so that clap need not guess.
    ///
    /// Before that every word longer than two characters with one leading dash gets a second one,
    /// as daprd does it: blindly, values included.
    pub(super) fn sort(&self, words: &[OsString]) -> Result<Words, String> {
        let mut sorted = Words::default();
        while let Some(word) = words.get(sorted.read) {
            let word = self.with_second_dash(utf8(word)?);
            let is_flag = word.len() > 1 && word.starts_with('-');
            if !is_flag && self.positional == Positional::EndsFlags {
                break;
            }
            sorted.read += 1;
            if word == "--" {
                break;
            }
            if !is_flag {
                continue;
            }
            let (name, value) = self.split(&word)?;
            if name == "help" {
                sorted.help = true;
                break;
            }
            let flag = self.flag_named(&name).ok_or_else(|| format!("unknown flag: --{name}"))?;
            let value = match value {
                None if is_bool(flag) => None,
                None => {
                    let next = words.get(sorted.read);
                    let next = next.ok_or_else(|| format!("flag needs an argument: {word}"))?;
                    sorted.read += 1;
                    Some(self.with_second_dash(utf8(next)?))
                }
                Some(value) => Some(value),
            };
            sorted.flags.push(match value {
                Some(value) => format!("--{name}={value}"),
                None => format!("--{name}"),
            });
            sorted.given.push(name);
        }
        Ok(sorted)
    }

    fn flag_named(&self, name: &str) -> Option<&Arg> {
        self.flagset.get_arguments().find(|flag| flag.get_long() == Some(name))
    }

    fn with_second_dash(&self, word: &str) -> String {
        let Some(rest) = word.strip_prefix('-') else { return word.to_owned() };
        if word.len() <= 2 || rest.starts_with('-') {
            return word.to_owned();
        }
        // `-p3000`, which users of `dapr run` may type, is no long flag.
        let name = rest.split('=').next().unwrap_or(rest);
        let is_shorthand = self.shorthands.iter().any(|(short, _)| rest.starts_with(*short));
        if is_shorthand && name != "help" && self.flag_named(name).is_none() {
            return word.to_owned();
        }
        format!("-{word}")
    }

    /// Takes `--name`, `--name=value`, `-n`, `-nvalue` or `-n=value` apart.
    fn split(&self, word: &str) -> Result<(String, Option<String>), String> {
        if let Some(long) = word.strip_prefix("--") {
            if long.starts_with(['-', '=']) {
                return Err(format!("bad flag syntax: {word}"));
            }
            return Ok(match long.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (long.to_owned(), None),
            });
        }
        let letter = word.chars().nth(1).unwrap_or('-');
        let rest = &word[1 + letter.len_utf8()..];
        if let Some((_, name)) = self.shorthands.iter().find(|(short, _)| *short == letter) {
            let value = rest.strip_prefix('=').unwrap_or(rest);
            return Ok(((*name).to_owned(), (!rest.is_empty()).then(|| value.to_owned())));
        }
        if letter == 'h' {
            return Ok(("help".to_owned(), None));
        }
        Err(format!("unknown shorthand flag: '{letter}' in {word}"))
    }
}

fn utf8(word: &OsStr) -> Result<&str, String> {
    word.to_str().ok_or_else(|| format!("{} is not UTF-8", word.display()))
}
