//! `matching` of a retry: lists of status codes. They concern calls of apps only, but a wrong one
//! costs daprd the rest of its resource.

use std::ops::RangeInclusive;

/// Every code HTTP has.
pub const HTTP: RangeInclusive<i64> = 100..=599;
/// Every code gRPC has.
pub const GRPC: RangeInclusive<i64> = 0..=16;

/// Checks codes and ranges of codes, joined by commas.
pub fn check(pattern: &str, valid: RangeInclusive<i64>) -> Result<(), String> {
    for part in pattern.split(',').map(str::trim).filter(|_| !pattern.is_empty()) {
        check_part(part, &valid).map_err(|flaw| format!("invalid pattern {part}, {flaw}"))?;
    }
    Ok(())
}

fn check_part(part: &str, valid: &RangeInclusive<i64>) -> Result<(), String> {
    let ends: Vec<&str> = part.split('-').collect();
    match ends.as_slice() {
        [only] => code("start", only, valid).map(drop),
        [start, end] => {
            let (start, end) = (code("start", start, valid)?, code("end", end, valid)?);
            if start > end {
                return Err("start value should not bigger than end value".to_owned());
            }
            Ok(())
        }
        _ => Err("more than one '-' exists".to_owned()),
    }
}

fn code(end: &str, text: &str, valid: &RangeInclusive<i64>) -> Result<i64, String> {
    let code = crate::go_text::atoi(text.trim())
        .map_err(|error| format!("failed to parse {end} code {text}: {error}"))?;
    if valid.contains(&code) { Ok(code) } else { Err(format!("{end} code {code} is not valid")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_ranges_are_accepted() {
        for pattern in ["500", "500-599", "429,500-504", " 429 , 503 ", "100,599", ""] {
            assert_eq!(check(pattern, HTTP), Ok(()), "{pattern}");
        }
        assert_eq!(check("0,2-14,16", GRPC), Ok(()));
    }

    #[test]
    fn a_wrong_pattern_is_refused_in_daprds_words() {
        for (pattern, flaw) in [
            ("11", "invalid pattern 11, start code 11 is not valid"),
            ("500,600", "invalid pattern 600, start code 600 is not valid"),
            ("500-600", "invalid pattern 500-600, end code 600 is not valid"),
            ("504-500", "invalid pattern 504-500, start value should not bigger than end value"),
            ("1-2-3", "invalid pattern 1-2-3, more than one '-' exists"),
            (
                "5xx",
                "invalid pattern 5xx, failed to parse start code 5xx: strconv.Atoi: parsing \
                 \"5xx\": invalid syntax",
            ),
        ] {
            assert_eq!(check(pattern, HTTP), Err(flaw.to_owned()));
        }
        assert!(check("17", GRPC).is_err());
        assert!(check("-1", GRPC).is_err());
    }
}
