//! Why there is no response, in the terms of `wasi:http`.

use wasmtime_wasi_http::Error;

use reactor_core::world::HttpError;

/// Translates an error of the world for the guest.
pub(super) fn error(error: HttpError) -> Error {
    match error {
        HttpError::NotSent => Error::HttpRequestDenied,
        HttpError::Prohibited => Error::DestinationIpProhibited,
        HttpError::Certificate => Error::TlsCertificateError,
        HttpError::Refused => Error::ConnectionRefused,
        HttpError::ConnectTimeout => Error::ConnectionTimeout,
        HttpError::Unavailable => Error::DestinationUnavailable,
        HttpError::Terminated | HttpError::GivenUp => Error::ConnectionTerminated,
        HttpError::AnswerTimeout => Error::HttpResponseTimeout,
        HttpError::ReadTimeout => Error::ConnectionReadTimeout,
        HttpError::Broken => Error::HttpProtocolError,
    }
}
