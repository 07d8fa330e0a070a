//! The `chappe` program: run the relay, check a configuration, make credentials, show a demonstration.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytesize::ByteSize;
use chappe::accounts::{ha1_text, htdigest_line};
use chappe::auth::Algorithm;
use chappe::config::Config;
use chappe::demo::{DemoOptions, present};
use clap::{Parser, Subcommand, ValueEnum};
use zeroize::Zeroizing;

mod run;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Exit code of a configuration that cannot be used (sysexits.h: EX_CONFIG).
const CONFIGURATION: u8 = 78;

/// An MSRP relay engine (RFC 4975, RFC 4976).
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the relay; without a file in development mode on loopback.
    Run {
        /// Configuration file.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Check a configuration and print every problem; exit code 78 if there is one.
    Check {
        /// Configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Make an HA1 or a line of an htdigest file; the password is read from standard input.
    Passwd {
        /// User name.
        user: String,
        /// Realm, as in `relay.realm`.
        realm: String,
        /// Digest algorithm.
        #[arg(long, value_enum, default_value = "md5")]
        algorithm: Digest,
        /// Print only the HA1, for `ha1 = "…"`.
        #[arg(long)]
        ha1: bool,
    },
    /// Show chat both ways and a file through a relay of this build, every octet verified.
    Demo {
        /// Length of the file.
        #[arg(long, value_name = "SIZE", default_value = "256MiB")]
        file: ByteSize,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Digest {
    Md5,
    Sha256,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { config } => run::run(config.as_deref()),
        Command::Check { config } => check(&config),
        Command::Passwd { user, realm, algorithm, ha1 } => passwd(&user, &realm, algorithm, ha1),
        Command::Demo { file } => show(file),
    }
}

fn check(path: &Path) -> ExitCode {
    match Config::load(path) {
        Ok(config) => {
            for warning in config.warnings() {
                eprintln!("warning: {warning}");
            }
            match chappe::net::server::examine(&config) {
                Ok(remarks) => remarks.iter().for_each(|r| eprintln!("warning: {r}")),
                Err(error) => {
                    eprintln!("{error}");
                    return ExitCode::from(CONFIGURATION);
                }
            }
            println!(
                "{}: good, {} listener(s), {} user(s)",
                path.display(),
                config.listen.len(),
                config.auth.users.len()
            );
            ExitCode::SUCCESS
        }
        Err(problems) => {
            eprintln!("{problems}");
            ExitCode::from(CONFIGURATION)
        }
    }
}

fn show(file: ByteSize) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let options = DemoOptions { file_size: file.as_u64(), ..DemoOptions::default() };
    match runtime.block_on(present(&options)) {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn passwd(user: &str, realm: &str, algorithm: Digest, ha1: bool) -> ExitCode {
    let algorithm = match algorithm {
        Digest::Md5 => Algorithm::Md5,
        Digest::Sha256 => Algorithm::Sha256,
    };
    let mut password = Zeroizing::new(String::new());
    if std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        eprint!("Password (shown as you type): ");
    }
    if let Err(error) = std::io::stdin().read_line(&mut password) {
        eprintln!("cannot read the password: {error}");
        return ExitCode::FAILURE;
    }
    let password = password.trim_end_matches(['\n', '\r']);
    let line =
        if ha1 { ha1_text(user, realm, password, algorithm) } else { htdigest_line(user, realm, password, algorithm) };
    match line {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
