//! What an answer says of itself, beside its body.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hyper::StatusCode;
use hyper::header::{DATE, HeaderMap, RETRY_AFTER};

/// Status and headers of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    /// HTTP status; 0 when there is no answer that it could be of.
    pub status: u16,
    /// Stripe's name of the request: what its support asks for.
    pub request_id: Option<String>,
    /// How long Stripe asks to wait.
    pub retry_after: Option<Duration>,
    /// Whether Stripe says that sending the same again makes sense.
    pub should_retry: Option<bool>,
}

impl Answered {
    pub(super) fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        Self {
            status: status.as_u16(),
            request_id: text("request-id").map(str::to_owned),
            retry_after: text(RETRY_AFTER.as_str()).and_then(|value| pause(value, text(DATE.as_str()))),
            should_retry: text("stripe-should-retry").and_then(|value| value.parse().ok()),
        }
    }
}

/// Seconds, or an instant (RFC 9110 §10.2.3), which counts from the answer's own `Date`: clocks differ.
fn pause(value: &str, date: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let instant = |text: &str| DateTime::parse_from_rfc2822(text).ok().map(|at| at.with_timezone(&Utc));
    (instant(value)? - instant(date?)?).to_std().ok()
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status)?;
        self.request_id.iter().try_for_each(|id| write!(f, ", request {id}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_told_in_seconds_or_as_an_instant() {
        let date = Some("Sat, 21 Nov 2026 10:00:00 GMT");
        assert_eq!(pause("7", None), Some(Duration::from_secs(7)));
        assert_eq!(pause("Sat, 21 Nov 2026 10:01:30 GMT", date), Some(Duration::from_secs(90)));
        assert_eq!(pause("Sat, 21 Nov 2026 09:59:00 GMT", date), None, "over already");
        assert_eq!(pause("Sat, 21 Nov 2026 10:01:30 GMT", None), None, "from when?");
        assert_eq!(pause("soon", date), None);
        assert_eq!(pause("-1", date), None);
    }

    #[test]
    fn an_answer_is_named_by_status_and_request() {
        let mut headers = HeaderMap::new();
        assert_eq!(Answered::of(StatusCode::OK, &headers), Answered { status: 200, ..Answered::default() });
        for (name, value) in [("request-id", "req_1"), ("retry-after", "2"), ("stripe-should-retry", "false")] {
            headers.insert(name, value.parse().unwrap());
        }
        let answered = Answered::of(StatusCode::CONFLICT, &headers);
        assert_eq!((answered.should_retry, answered.retry_after), (Some(false), Some(Duration::from_secs(2))));
        assert_eq!(answered.to_string(), "status 409, request req_1");
    }
}
