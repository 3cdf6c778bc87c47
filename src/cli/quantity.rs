//! Kubernetes quantities, such as `4Mi`, as daprd's size flags take them.

/// The greatest exponent that is computed with; beyond it everything is too much anyway.
const GREATEST_EXPONENT: i32 = 30;

/// Reads a quantity as a whole number, rounded away from zero; the errors are Kubernetes' texts.
pub(super) fn parse(text: &str) -> Result<i64, &'static str> {
    const FORM: &str = "quantities must match the regular expression \
                        '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let number_length = unsigned.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let (number, suffix) = unsigned.split_at(number_length);
    if number.is_empty() || !has_suffix_form(suffix) {
        return Err(FORM);
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return Err("unable to parse numeric part of quantity");
    }
    let unit = unit(suffix).ok_or("unable to parse quantity's suffix")?;
    let magnitude = magnitude(whole, fraction, unit);
    Ok(if text.starts_with('-') { -magnitude } else { magnitude })
}

fn has_suffix_form(suffix: &str) -> bool {
    let rest = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    rest.bytes().all(|byte| byte.is_ascii_digit())
}

enum Unit {
    Binary(u32),
    Decimal(i32),
}

fn unit(suffix: &str) -> Option<Unit> {
    Some(match suffix {
        "" => Unit::Decimal(0),
        "n" => Unit::Decimal(-9),
        "u" => Unit::Decimal(-6),
        "m" => Unit::Decimal(-3),
        "k" => Unit::Decimal(3),
        "M" => Unit::Decimal(6),
        "G" => Unit::Decimal(9),
        "T" => Unit::Decimal(12),
        "P" => Unit::Decimal(15),
        "E" => Unit::Decimal(18),
        "Ki" => Unit::Binary(10),
        "Mi" => Unit::Binary(20),
        "Gi" => Unit::Binary(30),
        "Ti" => Unit::Binary(40),
        "Pi" => Unit::Binary(50),
        "Ei" => Unit::Binary(60),
        _ => Unit::Decimal(suffix.strip_prefix(['e', 'E'])?.parse().ok()?),
    })
}

/// `whole.fraction` units, rounded up, at most the greatest number there is.
fn magnitude(whole: &str, fraction: &str, unit: Unit) -> i64 {
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return 0;
    }
    let shift = i32::try_from(fraction.len()).unwrap_or(i32::MAX);
    let (factor, exponent) = match unit {
        Unit::Binary(bits) => (1_i128 << bits, shift.saturating_neg()),
        Unit::Decimal(exponent) => (1, exponent.saturating_sub(shift)),
    };
    let Some(scaled) = digits.parse::<i128>().ok().and_then(|n| n.checked_mul(factor)) else {
        return i64::MAX;
    };
    let power = 10_i128.pow(exponent.clamp(-GREATEST_EXPONENT, GREATEST_EXPONENT).unsigned_abs());
    let value = if exponent < 0 {
        scaled / power + i128::from(scaled % power != 0)
    } else {
        scaled.saturating_mul(power)
    };
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        for (text, value) in [
            ("4Mi", 4 << 20),
            ("4Ki", 4096),
            ("-1", -1),
            ("0", 0),
            ("1.5Gi", 3 << 29),
            ("+1k", 1000),
            ("2M", 2_000_000),
            ("1e3", 1000),
            ("1E3", 1000),
            ("12e-1", 2),
            ("1m", 1),
            (".5", 1),
            ("1.", 1),
            ("0.0001", 1),
            ("9E", 9_000_000_000_000_000_000),
            ("99999Ei", i64::MAX),
            ("1e999", i64::MAX),
            ("123456789012345678901234567890123456789012345", i64::MAX),
        ] {
            assert_eq!(parse(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_in_kubernetes_words() {
        let form = "quantities must match the regular expression \
                    '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
        for text in ["", "x", "Mi", "4 Mi", "4Mi ", "4b", "--4"] {
            assert_eq!(parse(text), Err(form), "{text}");
        }
        for text in ["4K", "4mi", "4MiMi", "1e", "4-1"] {
            assert_eq!(parse(text), Err("unable to parse quantity's suffix"), "{text}");
        }
        for text in ["1.2.3", "."] {
            assert_eq!(parse(text), Err("unable to parse numeric part of quantity"), "{text}");
        }
    }
}
