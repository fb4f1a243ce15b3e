//! The agent without Node: `countersign-agent --rules FILE`.
//!
//! Exit codes: 0 after an orderly end, 1 when it could not start, 2 when the command line cannot be understood.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use std::process::ExitCode;

    use countersign::agent::{AgentOptions, ParsedArgs};

    let args: Vec<String> = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    match AgentOptions::from_args(&args) {
        Ok(ParsedArgs::Run(options)) => match daemon::run(*options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("countersign-agent: {error}");
                ExitCode::FAILURE
            }
        },
        Ok(ParsedArgs::Help) => {
            println!("Gives local processes their identity, based on what the kernel says about them.\n");
            println!("Usage: countersign-agent [OPTIONS]\n\nOptions:\n{}", AgentOptions::help());
            println!("Signals: HUP reloads the rules; INT and TERM stop the agent.");
            ExitCode::SUCCESS
        }
        Ok(ParsedArgs::Version) => {
            println!("countersign-agent {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("countersign-agent: {error}\nTry countersign-agent --help");
            ExitCode::from(2)
        }
    }
}

#[cfg(target_os = "linux")]
mod daemon {
    use std::error::Error;
    use std::io::Write;

    use countersign::agent::{Agent, AgentOptions, log};
    use rustix::process::{Resource, getrlimit, setrlimit};
    use tokio::signal::unix::{SignalKind, signal};

    pub fn run(options: AgentOptions) -> Result<(), Box<dyn Error>> {
        log::init(options.log_format, &options.log_level)?;
        raise_descriptor_limit();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async {
            // Before the sockets exist: a process that sees them may send a signal.
            let mut hangup = signal(SignalKind::hangup())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            let dev = options.is_dev();
            let agent = Agent::start(options)?;
            for (name, endpoint) in agent.bundle_endpoints() {
                tracing::warn!(
                    target: "countersign::agent",
                    trust_domain = name.name(),
                    url = endpoint.url,
                    "bundle endpoints are fetched by the agent inside Node only; this one takes bundle_file"
                );
            }
            if dev {
                eprintln!(
                    "# every process of uid {} gets the identity DEV, for any program",
                    rustix::process::geteuid().as_raw()
                );
                if let Some(authority) = agent.authority() {
                    eprintln!(
                        "# SPIFFE: the authority of {} for this machine only; \
                         its keys are gone with this process",
                        authority.trust_domain()
                    );
                }
                let mut out = std::io::stdout();
                // A closed standard output is no reason to stop.
                let _ = writeln!(out, "{}", agent.export_lines()).and_then(|()| out.flush());
            }
            loop {
                tokio::select! {
                    _ = hangup.recv() => {
                        // The outcome is in the log; broken rules change nothing.
                        let _ = agent.reload();
                    }
                    _ = interrupt.recv() => break,
                    _ = terminate.recv() => break,
                }
            }
            agent.close();
            Ok(())
        })
    }

    /// A waiting connection holds two descriptors or three; the usual soft limit is meant for `select`.
    fn raise_descriptor_limit() {
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("countersign-agent: not supported on this platform");
    std::process::ExitCode::FAILURE
}
