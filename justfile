# The one door. `just ready` is what CI runs.

# List the recipes.
default:
    @just --list

# All that CI checks.
ready:
    bash .ci/run

# All tests.
test:
    cargo test --workspace

# Format, and write the generated files anew.
fix:
    cargo fmt --all
    cargo run -q -p cofferdam -- generate

# The story, on loopback.
demo:
    cargo run --release -- demo
