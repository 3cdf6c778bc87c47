//! The flags that bound what the sidecar takes on, and the command that shows them.

use super::{
    CliError, Typed,
    checks::{OptionsError, Sizes},
};
use crate::edge::{
    admission::{Limit, Most},
    connection::DEFAULT_HEADER_LIST_SIZE,
};

/// What the flags say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most calls, bytes and connections at once.
    pub most: Most,
    /// How many calls an HTTP/2 connection may carry at once.
    pub streams: u32,
    /// The greatest head of a gRPC request in bytes.
    pub header_list: u32,
}

/// Every limit, for the command that shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllLimits {
    /// Ours.
    pub limits: Limits,
    /// `--max-body-size`; `None` for any size.
    pub body: Option<usize>,
    /// `--read-buffer-size`.
    pub head: usize,
}

impl Limits {
    /// Reads them, given the value of `--read-buffer-size`.
    pub(super) fn read(typed: &Typed, head: usize) -> Result<Self, OptionsError> {
        let flags = &typed.flags;
        Ok(Self {
            most: Most {
                calls: number(Limit::Calls, flags.max_calls_in_flight)?,
                bytes: bytes(&flags.max_bytes_in_flight)?,
                connections: number(Limit::Connections, flags.max_connections)?,
            },
            streams: streams(flags.max_streams_per_connection)?,
            header_list: header_list(&flags.max_header_list_size, head)?,
        })
    }
}

impl AllLimits {
    /// Reads them for the command.
    pub(super) fn read(typed: &Typed) -> Result<Self, CliError> {
        let Sizes { body, head } = Sizes::read(typed).map_err(CliError::Fatal)?;
        let limits =
            Limits::read(typed, head).map_err(|error| CliError::Fatal(error.to_string()))?;
        Ok(Self { limits, body, head })
    }
}

/// 0 asks for no limit.
fn number(limit: Limit, value: i64) -> Result<Option<usize>, OptionsError> {
    let flag = limit.flag().trim_start_matches('-');
    let number = usize::try_from(value).map_err(|_| OptionsError::Range {
        flag,
        expected: "0 or more",
        value: value.to_string(),
    })?;
    Ok((number > 0).then_some(number))
}

fn bytes(text: &str) -> Result<Option<usize>, OptionsError> {
    const FLAG: &str = "max-bytes-in-flight";
    number(Limit::Bytes, quantity(FLAG, text)?)
}

fn streams(value: i64) -> Result<u32, OptionsError> {
    const MOST: u32 = i32::MAX as u32;
    u32::try_from(value).ok().filter(|number| (1..=MOST).contains(number)).ok_or_else(|| {
        OptionsError::Range {
            flag: "max-streams-per-connection",
            expected: "between 1 and 2147483647",
            value: value.to_string(),
        }
    })
}

fn header_list(text: &str, head: usize) -> Result<u32, OptionsError> {
    const FLAG: &str = "max-header-list-size";
    if text.is_empty() {
        return Ok(u32::try_from(head).unwrap_or(u32::MAX).max(DEFAULT_HEADER_LIST_SIZE));
    }
    let value = quantity(FLAG, text)?;
    u32::try_from(value).ok().filter(|&size| size > 0).ok_or_else(|| OptionsError::Range {
        flag: FLAG,
        expected: "between 1 and 4294967295 bytes",
        value: text.to_owned(),
    })
}

fn quantity(flag: &'static str, text: &str) -> Result<i64, OptionsError> {
    super::quantity::parse(text).map_err(|problem| OptionsError::Quantity { flag, problem })
}
