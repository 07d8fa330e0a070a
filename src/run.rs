//! `chappe run`: the life of the process, from the configuration to the last goodbye.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use chappe::config::{Config, Secret};
use chappe::net::server::Server;
use tokio::signal::unix::{SignalKind, signal};

use crate::CONFIGURATION;

/// Runs the relay until it is told to stop.
pub fn run(path: Option<&Path>) -> ExitCode {
    let config = match path.map(Config::load) {
        Some(Ok(config)) => config,
        Some(Err(problems)) => {
            eprintln!("{problems}");
            return ExitCode::from(CONFIGURATION);
        }
        None => development(),
    };
    let _ = tracing_subscriber::fmt().with_env_filter("info").with_writer(std::io::stderr).try_init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(serve(path, config))
}

async fn serve(_path: Option<&Path>, config: Config) -> ExitCode {
    if let Err(error) = chappe::net::socket::raise_descriptor_limit() {
        tracing::warn!(%error, "the descriptor limit stays as it is");
    }
    let server =
        match Server::start(&config, tokio::runtime::Handle::current(), Box::new(|event| tracing::debug!(?event))) {
            Ok(server) => server,
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::from(CONFIGURATION);
            }
        };
    for address in &server.listening {
        tracing::info!(%address, "listening");
    }
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return ExitCode::FAILURE;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    let _ = server.shards.stop().await;
    let _ = tokio::time::timeout(Duration::from_secs(10), tokio::task::spawn_blocking(move || server.join())).await;
    ExitCode::SUCCESS
}

fn development() -> Config {
    let mut octets = [0u8; 12];
    let _ = getrandom::fill(&mut octets);
    let password: String = octets.iter().map(|b| format!("{b:02x}")).collect();
    Config::development(Secret::from(password))
}
