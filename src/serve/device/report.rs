//! `POST /v1/reports`: what devices tell of a release, one report or a list of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;

use super::{Answer, Backend, Inner, Problem, RecordReportsError, RequestBody, read_body};
use crate::model::{DeviceId, MetricName, MetricValue, ProductName, Report, ReportEvent, ReportId, Version};
use crate::serve::http::BytesBody;

/// Longest body of a request, in bytes.
const BODY_MAX_BYTES: usize = 256 * 1024;
/// Most reports of one request.
const REPORTS_MAX: usize = 1000;

/// One report as a device sends it; who sends it and when it came is the server's to say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SentReport {
    id: ReportId,
    product: ProductName,
    version: Version,
    event: ReportEvent,
    #[serde(default)]
    at: Option<Timestamp>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    metrics: BTreeMap<MetricName, MetricValue>,
}

impl<B: Backend> Inner<B> {
    pub(super) async fn reports(&self, request: Request<RequestBody>) -> Answer {
        let snapshot = self.backend.snapshot();
        let now = self.backend.now(&snapshot);
        let device = self
            .identify(&request, &snapshot, now)
            .map_err(|_| Problem::unauthorized("the device's credential is not valid"))?
            .ok_or_else(|| Problem::unauthorized("a report needs the device's credential"))?;
        self.admit(&request, Some(&device))?;
        // A snapshot is not to be held while a slow body comes in.
        drop(snapshot);
        let body = read_body(request, BODY_MAX_BYTES).await?;
        let reports = parse(&body, &device, now)?;
        self.admit_reports(&device, reports.len())?;
        let recorded = self.backend.record_reports(reports).await.map_err(refused)?;
        let text = format!(r#"{{"recorded":{},"repeated":{}}}"#, recorded.recorded, recorded.repeated);
        let mut response = Response::new(());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().insert(CONTENT_LENGTH, text.len().into());
        Ok(response.map(|()| BytesBody::from(Bytes::from(text))))
    }
}

fn parse(body: &[u8], device: &DeviceId, now: Timestamp) -> Result<Vec<Report>, Problem> {
    let bad = |detail: String| Problem::with_detail(StatusCode::BAD_REQUEST, detail);
    let is_list = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let sent: Result<Vec<SentReport>, _> =
        if is_list { serde_json::from_slice(body) } else { serde_json::from_slice(body).map(|report| vec![report]) };
    let sent = sent.map_err(|error| bad(format!("the body is not a report or a list of reports: {error}")))?;
    if sent.len() > REPORTS_MAX {
        return Err(bad(format!("at most {REPORTS_MAX} reports at once")));
    }
    let reports = sent.into_iter().map(|SentReport { id, product, version, event, at, code, metrics }| {
        let device = device.clone();
        let report = Report { id, device, product, version, event, received_at: now, at, code, metrics };
        report.check().map(|()| report).map_err(|error| bad(error.to_string()))
    });
    reports.collect()
}

/// The one place where a failure to store reports becomes an answer.
fn refused(error: RecordReportsError) -> Problem {
    match error {
        // Unknown and withheld releases are refused with the same words.
        RecordReportsError::Refused(error) => Problem::with_detail(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
        RecordReportsError::Unavailable(error) => {
            tracing::error!(error, "reports cannot be stored");
            Problem::try_again(60, "reports cannot be stored at the moment")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    fn report() -> Map<String, Value> {
        let Value::Object(report) = json!({"id": "r1", "product": "av", "version": "1.0", "event": "installed"}) else {
            unreachable!()
        };
        report
    }

    proptest! {
        /// Whatever else a body says, the report is that of the device that proved itself, or there is none.
        #[test]
        fn a_report_is_its_senders(
            extra in prop::collection::btree_map(
                prop_oneof!["device|group|ring|Device|device_id|identity|tags|attributes|received_at|at|code|metrics", "[a-z_]{1,10}"],
                prop_oneof![Just(json!("canary-1")), Just(json!(["canary-1"])), Just(json!({"id": "canary-1"})), Just(json!(1))],
                0..4,
            ),
            is_list: bool,
        ) {
            let mut sent = report();
            sent.extend(extra.iter().filter(|(name, _)| !report().contains_key(*name)).map(|(n, v)| (n.clone(), v.clone())));
            let body = if is_list { json!([sent, report()]) } else { json!(sent) };
            let device: DeviceId = "pos-1".parse().unwrap();
            let now = Timestamp::from_second(1_700_000_000).unwrap();
            for taken in parse(body.to_string().as_bytes(), &device, now).iter().flatten() {
                prop_assert_eq!(&taken.device, &device);
                prop_assert_eq!(taken.received_at, now);
            }
            if ["device", "group", "ring", "received_at"].iter().any(|name| extra.contains_key(*name)) {
                prop_assert!(parse(body.to_string().as_bytes(), &device, now).is_err());
            }
        }
    }
}
