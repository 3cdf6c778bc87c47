//! The class under which a failure is counted.

use crate::{
    api::error::WriteFailure, metrics::component::Class, resiliency::policy::PolicyError,
    state_store::StoreError,
};

/// The class of a call that its policy gave up.
pub fn of_policy(error: &PolicyError<StoreError>) -> Class {
    match error {
        PolicyError::Operation(error) => of_store(error),
        PolicyError::TimedOut => Class::Timeout,
        PolicyError::DeadlineExceeded | PolicyError::NoTimeToRetry(_) => Class::DeadlineExceeded,
        PolicyError::CircuitOpen => Class::BreakerOpen,
        PolicyError::TooManyRequests => Class::ProbesExhausted,
    }
}

/// The class of a call that writes; of several failures the one that tells most of the store.
pub fn of_write(failure: &WriteFailure) -> Class {
    match failure {
        WriteFailure::Single(error) => of_policy(error),
        WriteFailure::Batch(errors) => errors.iter().map(of_store).max().unwrap_or(Class::Refused),
        WriteFailure::NoTimeToRetry(_) => Class::DeadlineExceeded,
    }
}

fn of_store(error: &StoreError) -> Class {
    match error {
        StoreError::EtagMismatch(_) => Class::Conflict,
        StoreError::EtagInvalid(_) => Class::BadEtag,
        StoreError::TtlInvalid(_) => Class::BadTtl,
        StoreError::Refused(_) => Class::Refused,
        StoreError::Unavailable(_) => Class::Unavailable,
        StoreError::Unreachable(_) => Class::Unreachable,
        StoreError::Lost(_) | StoreError::Unconfirmed(_) => Class::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_outranks_what_the_store_answered() {
        let conflict = StoreError::EtagMismatch("x".to_owned());
        let lost = StoreError::Lost("EOF".to_owned().into());
        let down = StoreError::Unreachable("refused".to_owned().into());
        let class = |errors: &[&StoreError]| {
            of_write(&WriteFailure::Batch(errors.iter().map(|error| (*error).clone()).collect()))
        };
        assert_eq!(class(&[&conflict]), Class::Conflict);
        assert_eq!(class(&[&conflict, &down]), Class::Unreachable);
        assert_eq!(class(&[&lost, &conflict, &down]), Class::Lost);
    }
}
