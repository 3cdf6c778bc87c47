//! What no floor serves, so that a floor's file shows only what it does.

/// The calls of the service that have nothing to do with state.
macro_rules! unserved {
    ($($name:ident($request:ty) -> $answer:ty;)*) => {
        $(
            // What `async_trait` makes of an `async fn`; it does not look into macros.
            fn $name<'a, 'b>(
                &'a self,
                _: tonic::Request<$request>,
            ) -> std::pin::Pin<
                Box<dyn Future<Output = Result<tonic::Response<$answer>, tonic::Status>> + Send + 'b>,
            >
            where
                'a: 'b,
                Self: 'b,
            {
                Box::pin(async { Err(tonic::Status::unimplemented("a floor serves state alone")) })
            }
        )*
    };
}

pub(crate) use unserved;
