//! The command line: `peartree predict|generate|lens`, with the page's names and JSON.

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    peartree::cli::main(&peartree::cli::Demo {
        config: include_bytes!("../../www/demo/config.json"),
        tokenizer: include_bytes!("../../www/demo/tokenizer.json"),
        weights: include_bytes!("../../www/demo/model.safetensors"),
    })
}

#[cfg(target_arch = "wasm32")]
fn main() {}
