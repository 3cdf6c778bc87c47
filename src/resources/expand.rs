//! `$NAME` and `${NAME}` in a Configuration, replaced as Go's `os.Expand` does.

/// The text with every variable replaced; one that is not set becomes nothing. `look_up` is asked
/// once for each occurrence.
pub fn expand(text: &str, mut look_up: impl FnMut(&str) -> Option<String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let (name, next) = variable(&rest[at + 1..]);
        match name {
            Some(name) => expanded.push_str(&look_up(name).unwrap_or_default()),
            // A dollar sign before what cannot be a name stays; a broken `${` is dropped.
            None if next.len() == rest.len() - at - 1 => expanded.push('$'),
            None => {}
        }
        rest = next;
    }
    expanded.push_str(rest);
    expanded
}

/// The name that begins the text behind a dollar sign, and what follows it.
fn variable(text: &str) -> (Option<&str>, &str) {
    let Some(first) = text.chars().next() else { return (None, text) };
    if first == '{' {
        return match text.find('}') {
            Some(1) => (None, &text[2..]),
            Some(end) => (Some(&text[1..end]), &text[end + 1..]),
            None => (None, &text[1..]),
        };
    }
    if matches!(first, '*' | '#' | '$' | '@' | '!' | '?' | '-' | '0'..='9') {
        return (Some(&text[..1]), &text[1..]);
    }
    let is_letter = |c: char| c == '_' || c.is_ascii_alphanumeric();
    let end = text.find(|c| !is_letter(c)).unwrap_or(text.len());
    if end == 0 { (None, text) } else { (Some(&text[..end]), &text[end..]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_as_go_does() {
        let look_up = |name: &str| match name {
            "HOST" => Some("redis".to_owned()),
            "A_1" => Some("x".to_owned()),
            _ => None,
        };
        for (text, expanded) in [
            ("$HOST:6379", "redis:6379"),
            ("${HOST}name", "redisname"),
            ("$HOSTname", ""),
            ("a$A_1-b", "ax-b"),
            ("no variable", "no variable"),
            ("pa$$word", "paword"),
            ("5 $ and $, too", "5 $ and $, too"),
            ("at the end $", "at the end $"),
            ("${}x", "x"),
            ("${HOST", "HOST"),
            ("$1x", "x"),
            ("§$HOST§", "§redis§"),
        ] {
            assert_eq!(expand(text, look_up), expanded, "{text}");
        }
    }
}
