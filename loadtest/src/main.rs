//! `chappe-load`: see `README.md` beside it.

use std::{
    fs,
    path::Path,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result, bail};
use chappe_load::{
    cli::{Action, Command, RunOptions},
    progress::{self, Progress},
    result::{FORMAT, RunResult},
    scenario::Scenario,
    single,
};
use clap::Parser;

/// The generator found an error.
const FOUND: u8 = 1;
/// The generator could not do what it was asked to.
const FAILED: u8 = 2;

static STOP: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    match act(Command::parse().action) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FOUND),
        Err(error) => {
            eprintln!("chappe-load: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn act(action: Action) -> Result<bool> {
    match action {
        Action::Run(options) => run(&options),
        Action::Check { scenario, settings } => {
            println!("{:#?}", Scenario::load(&scenario, &settings)?);
            Ok(true)
        }
        _ => bail!("later"),
    }
}

fn run(options: &RunOptions) -> Result<bool> {
    // The first one ends the run and its result is written; a second one ends the process.
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })?;
    let mut progress = Progress::new(options.quiet);
    let result = single::run(options, &mut progress, &STOP)?;
    drop(progress);
    if !options.quiet {
        print!("{}", progress::summary(&result));
    }
    if let Some(path) = &options.json {
        fs::write(path, serde_json::to_string(&result)?).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(result.is_clean())
}
