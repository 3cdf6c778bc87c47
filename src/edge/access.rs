//! Which parts of the API are open, as `spec.api` of a Configuration says for one protocol.

/// A part of the API by its name and its version, such as `state` and `v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiName {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What may be called. Without any name everything may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// If there are any, only these may be called.
    pub allowed: Vec<ApiName>,
    /// These may not, even if they are allowed.
    pub denied: Vec<ApiName>,
}

impl Access {
    /// Whether there is nothing to look at.
    pub fn is_unlimited(&self) -> bool {
        self.allowed.is_empty() && self.denied.is_empty()
    }

    /// Whether something may be called that these names mean or do not mean.
    pub fn permits(&self, is_meant: impl Fn(&ApiName) -> bool) -> bool {
        !self.denied.iter().any(&is_meant)
            && (self.allowed.is_empty() || self.allowed.iter().any(&is_meant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<ApiName> {
        let named = |name: &&str| ApiName { name: (*name).to_owned(), version: "v1".to_owned() };
        names.iter().map(named).collect()
    }

    #[test]
    fn denied_wins_over_allowed_and_an_allow_list_closes_the_rest() {
        for (allowed, denied, open) in [
            (&[][..], &[][..], &["a", "b", "c"][..]),
            (&["a"], &[], &["a"]),
            (&[], &["a"], &["b", "c"]),
            (&["a", "b"], &["a"], &["b"]),
        ] {
            let access = Access { allowed: names(allowed), denied: names(denied) };
            let permitted = |name: &&&str| access.permits(|rule| rule.name == **name);
            let found: Vec<&str> = ["a", "b", "c"].iter().filter(permitted).copied().collect();
            assert_eq!(found, open, "{allowed:?} {denied:?}");
            assert_eq!(access.is_unlimited(), allowed.is_empty() && denied.is_empty());
        }
    }
}
