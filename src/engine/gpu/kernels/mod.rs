//! The card's kernels: each operation's WGSL beside what drives it.

pub mod activation;
pub mod add;
pub mod attention;
pub mod edit;
pub mod ends;
pub mod gather;
pub mod join;
pub mod norm;
pub mod product;
pub mod transposed;

/// One operation's program.
pub struct Kernel {
    pub name: &'static str,
    /// What its text needs before it.
    pub needs: &'static [Part],
    pub text: &'static str,
    /// By binding: `r` for a buffer that is read, `w` for one that is written.
    pub access: &'static str,
}

/// Texts that several kernels share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Weights in the type that the constant `F16` says.
    Weights,
    /// The neurons' functions.
    Functions,
}

/// All there are.
pub const ALL: [&Kernel; 17] = [
    &activation::ACTIVATION,
    &add::ADD,
    &attention::PATTERN,
    &attention::MIX,
    &attention::QUERIES_BACKWARDS,
    &attention::KEYS_BACKWARDS,
    &edit::EDIT,
    &ends::METRIC,
    &ends::TOP,
    &gather::GATHER,
    &join::JOIN,
    &norm::NORM,
    &norm::NORM_BACKWARDS,
    &product::PRODUCT,
    &product::FEW_ROWS,
    &transposed::TRANSPOSED,
    &transposed::FEW_TRANSPOSED,
];

/// A kernel's whole text, with what it leaves open put before it.
pub fn source(kernel: &Kernel, consts: &[(&'static str, u32)]) -> String {
    let mut text = String::new();
    for (name, value) in consts {
        text.push_str(&format!("const {name} = {value}u;\n"));
    }
    for part in kernel.needs {
        let is_f16 = consts.contains(&("F16", 1));
        text.push_str(match part {
            Part::Weights if is_f16 => include_str!("weights_f16.wgsl"),
            Part::Weights => include_str!("weights_f32.wgsl"),
            Part::Functions => include_str!("functions.wgsl"),
        });
    }
    text.push_str(kernel.text);
    text
}

/// So many workgroups, as a grid whose sides WebGPU allows: `x` times `y`, the last ones with nothing to do.
pub fn grid(groups: usize) -> (u32, u32) {
    const MOST: usize = 65535;
    let y = groups.div_ceil(MOST).max(1);
    (groups.div_ceil(y) as u32, y as u32)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    /// Every constant that some kernel leaves open.
    const CONSTS: [[(&str, u32); 7]; 2] = [
        [("F16", 0), ("ACTIVATION", 1), ("ROWS", 1), ("LANES", 16), ("DOWN", 8), ("ACROSS", 1), ("D_HEAD", 64)],
        [("F16", 1), ("ACTIVATION", 7), ("ROWS", 8), ("LANES", 4), ("DOWN", 4), ("ACROSS", 2), ("D_HEAD", 5)],
    ];

    #[test]
    fn naga_takes_every_kernel() {
        for (kernel, consts) in ALL.into_iter().flat_map(|kernel| CONSTS.map(|consts| (kernel, consts))) {
            let text = source(kernel, &consts);
            let module = naga::front::wgsl::parse_str(&text)
                .unwrap_or_else(|error| panic!("{}: {}", kernel.name, error.emit_to_string(&text)));
            let flags = naga::valid::ValidationFlags::all();
            naga::valid::Validator::new(flags, naga::valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32)
                .validate(&module)
                .unwrap_or_else(|error| panic!("{}: {}", kernel.name, error.emit_to_string(&text)));
            // what a buffer is bound as is what the text says of it
            let storage = module.global_variables.iter().filter_map(|(_, variable)| match variable.space {
                naga::AddressSpace::Storage { access } => Some(access.contains(naga::StorageAccess::STORE)),
                _ => None,
            });
            let written: Vec<bool> = storage.collect();
            let said: Vec<bool> = kernel.access.bytes().map(|access| access == b'w').collect();
            assert_eq!(written, said, "{}", kernel.name);
        }
    }

    #[test]
    fn shared_memory_is_within_the_least_that_there_is() {
        for (kernel, consts) in ALL.into_iter().flat_map(|kernel| CONSTS.map(|consts| (kernel, consts))) {
            let module = naga::front::wgsl::parse_str(&source(kernel, &consts)).unwrap();
            let mut layouter = naga::proc::Layouter::default();
            layouter.update(module.to_ctx()).unwrap();
            let shared = module.global_variables.iter().filter(|(_, v)| v.space == naga::AddressSpace::WorkGroup);
            let bytes: u32 = shared.map(|(_, variable)| layouter[variable.ty].size).sum();
            assert!(bytes <= 16384, "{}: {bytes} bytes", kernel.name);
        }
    }
}
