//! `chappe-load`: see `README.md` beside it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result};
use chappe_load::{
    cli::{Action, Command, RunOptions},
    fleet::{self, Part},
    progress::{self, Progress},
    report::{comparison, merge::merge, page},
    result::RunResult,
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
        Action::Run(options) => return run(&options),
        Action::Check { scenario, settings } => println!("{:#?}", Scenario::load(&scenario, &settings)?),
        Action::Merge { results, output } => {
            let merged = merge(read(&results)?)?;
            print!("{}", progress::summary(&merged));
            write(&output, &serde_json::to_string(&merged)?)?;
            return Ok(merged.is_clean());
        }
        Action::Compare { results, baseline } => {
            let results = read(&results)?;
            print!("{}", comparison::markdown(&results, &baseline.unwrap_or_else(|| results[0].label.clone())));
        }
        Action::Report { results, baseline, output } => {
            let results = read(&results)?;
            let baseline = baseline.unwrap_or_else(|| results[0].label.clone());
            write(&output, &page::page_against(&results, &baseline))?;
        }
    }
    Ok(true)
}

fn run(options: &RunOptions) -> Result<bool> {
    // The first one ends the run and its result is written; a second one ends the process.
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })?;
    if options.part.is_some() {
        let result = single::run(options, &mut Part, &STOP)?;
        let clean = result.is_clean();
        Part::tell_result(result);
        return Ok(clean);
    }
    let mut progress = Progress::new(options.quiet);
    let result = match options.processes {
        1 => single::run(options, &mut progress, &STOP)?,
        several => {
            options.target()?;
            fleet::run(several, &mut progress)?
        }
    };
    drop(progress);
    if !options.quiet {
        print!("{}", progress::summary(&result));
    }
    if let Some(path) = &options.json {
        write(path, &serde_json::to_string(&result)?)?;
    }
    Ok(result.is_clean())
}

fn read(paths: &[PathBuf]) -> Result<Vec<RunResult>> {
    paths.iter().map(|path| RunResult::read(path)).collect()
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
