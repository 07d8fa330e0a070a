//! The requests of the admin interface, one function each.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};
use axum::{Json, Router, body::Bytes, middleware};
use serde_json::{Value, json};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::answer::Failure;
use super::guard::{BODY, guard};
use super::view::{LogLevel, Page, Session, word};
use super::{Admin, Order, Phase};

/// Sessions shown when no number is asked for.
const PAGE: usize = 100;
/// Sessions shown at most.
const LARGEST_PAGE: usize = 1000;
/// A reload that takes longer is left alone. Less than a connection may be silent.
const RELOAD: Duration = Duration::from_secs(20);

type Answer<T> = Result<T, Failure>;

pub(super) fn router(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/sessions", get(sessions))
        .route("/sessions/{id}", delete(end_session))
        .route("/drain", post(drain))
        .route("/reload", post(reload))
        .route("/log-level", get(log_level).put(set_log_level))
        .fallback(|| async { Failure::new(StatusCode::NOT_FOUND, "no such resource") })
        .method_not_allowed_fallback(|| async {
            Failure::new(StatusCode::METHOD_NOT_ALLOWED, "this resource does not know that method")
        })
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn_with_state(admin.clone(), guard))
        .with_state(admin)
}

async fn health(State(admin): State<Arc<Admin>>) -> Answer<Json<Value>> {
    let shards = admin.shards.snapshots().await?;
    Ok(Json(json!({ "status": "healthy", "shards": shards.len() })))
}

async fn ready(State(admin): State<Arc<Admin>>) -> Answer<Json<Value>> {
    let refuse = |why| Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, why));
    match admin.phase() {
        Phase::Serving => Ok(Json(json!({ "status": "ready" }))),
        Phase::Starting => refuse("starting"),
        Phase::Draining => refuse("draining"),
    }
}

/// With a stuck shard the last figures are still worth more than none; `chappe_shards_answering` tells.
async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let snapshots = admin.shards.snapshots().await;
    let exporter = &admin.exporter;
    exporter.answering(snapshots.is_ok());
    exporter.lost_lines("log", admin.log.losses());
    exporter.lost_lines("records", admin.records.losses());
    if let Ok(snapshots) = snapshots {
        exporter.update(&snapshots);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], exporter.render())
}

async fn sessions(
    State(admin): State<Arc<Admin>>,
    page: Result<Query<Page>, QueryRejection>,
) -> Answer<Json<Vec<Session>>> {
    let Query(page) = page.map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "limit is a number"))?;
    let most = page.limit.unwrap_or(PAGE).min(LARGEST_PAGE);
    let sessions = admin.shards.sessions(most).await?;
    Ok(Json(sessions.into_iter().take(most).map(Session::from).collect()))
}

async fn end_session(State(admin): State<Arc<Admin>>, id: Result<Path<String>, PathRejection>) -> Answer<StatusCode> {
    let is_name = |id: &str| id.len() <= 64 && id.bytes().all(|octet| octet.is_ascii_alphanumeric());
    match id {
        Ok(Path(id)) if is_name(&id) && admin.shards.end(&id).await? => Ok(StatusCode::NO_CONTENT),
        _ => Err(Failure::new(StatusCode::NOT_FOUND, "no such session")),
    }
}

async fn drain(State(admin): State<Arc<Admin>>) -> Answer<(StatusCode, Json<Value>)> {
    order(&admin, Order::Drain)?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "status": "draining" }))))
}

async fn reload(State(admin): State<Arc<Admin>>) -> Answer<Json<Value>> {
    let (reply, answer) = oneshot::channel();
    order(&admin, Order::Reload(reply))?;
    let unknown = |_| Failure::new(StatusCode::GATEWAY_TIMEOUT, "the reload did not end in time; see the log");
    let answer = timeout(RELOAD, answer).await.map_err(unknown)?;
    let changes = answer.map_err(|_| ending())??;
    Ok(Json(json!({ "applied": changes.into_iter().map(word).collect::<Vec<_>>() })))
}

fn order(admin: &Admin, order: Order) -> Answer<()> {
    admin.orders.try_send(order).map_err(|error| match error {
        TrySendError::Full(_) => Failure::new(StatusCode::SERVICE_UNAVAILABLE, "busy with other orders; ask again"),
        TrySendError::Closed(_) => ending(),
    })
}

fn ending() -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "the process is ending")
}

async fn log_level(State(admin): State<Arc<Admin>>) -> Json<LogLevel> {
    Json(LogLevel { level: admin.log.current() })
}

/// Parsed whatever its Content-Type says, so that `curl -X PUT -d '{"level":"debug"}'` is enough.
async fn set_log_level(State(admin): State<Arc<Admin>>, body: Result<Bytes, BytesRejection>) -> Answer<Json<LogLevel>> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::too_large(),
        status => Failure::new(status, "the body did not arrive"),
    })?;
    let bad = |text: String| Failure::new(StatusCode::BAD_REQUEST, text);
    let wanted: LogLevel = serde_json::from_slice(&body).map_err(|_| bad("write {\"level\": \"info\"}".to_owned()))?;
    admin.log.set(&wanted.level).map_err(|error| bad(error.to_string()))?;
    tracing::info!(level = wanted.level, "log level changed by the admin interface until the next reload or start");
    Ok(Json(LogLevel { level: admin.log.current() }))
}
