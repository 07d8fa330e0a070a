//! Errors of the admin interface as JSON.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Refused;
use crate::config::Problem;
use crate::control::Stuck;

/// An answer that is not the one asked for.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    text: String,
    /// Members beside `error`.
    details: Option<(&'static str, Value)>,
}

impl Failure {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Failure {
        Failure { status, text: text.into(), details: None }
    }

    pub(super) fn too_large() -> Failure {
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "the body exceeds 4 KiB")
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<Stuck> for Failure {
    fn from(stuck: Stuck) -> Failure {
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, stuck.to_string())
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        let text = refused.to_string();
        let (status, details) = match refused {
            Refused::Problems(problems) => {
                let list: Vec<_> = problems.list.iter().map(problem).collect();
                (StatusCode::UNPROCESSABLE_ENTITY, Some(("problems", list.into())))
            }
            Refused::NeedsRestart(fixed) => {
                let keys: Vec<_> = fixed.0.iter().map(|fixed| fixed.key()).collect();
                (StatusCode::CONFLICT, Some(("restart", keys.into())))
            }
            Refused::NoFile => (StatusCode::CONFLICT, None),
            Refused::Failed(_) => (StatusCode::UNPROCESSABLE_ENTITY, None),
        };
        Failure { status, text, details }
    }
}

fn problem(problem: &Problem) -> Value {
    json!({ "key": problem.key, "line": problem.line, "problem": problem.fault.to_string() })
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut body = json!({ "error": self.text });
        if let Some((name, value)) = self.details {
            body[name] = value;
        }
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"chappe\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
