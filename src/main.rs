//! The `ringfence` command.

fn main() -> std::process::ExitCode {
    ringfence::cli::main()
}
