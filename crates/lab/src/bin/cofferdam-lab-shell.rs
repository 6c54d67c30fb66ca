//! The helper of the confined shell alone, for tests that start a lab and are not the helper
//! themselves.

fn main() -> std::process::ExitCode {
    cofferdam_lab::confined_shell_main(std::env::args_os())
        .unwrap_or(std::process::ExitCode::FAILURE)
}
