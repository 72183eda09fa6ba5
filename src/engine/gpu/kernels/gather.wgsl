// Rows of a matrix, by number: out [i] = matrix [numbers [i]], or added to what is there. Numbers outside
// first .. first + rows belong to another piece of the matrix. A workgroup of 64 takes a row. Groups: (numbers, 1).

struct Params {
    first: u32,
    rows: u32,
    d4: u32,
    adds: u32,
}

@group(0) @binding(0) var<storage, read> numbers: array<u32>;
@group(0) @binding(1) var<storage, read> matrix: array<Weights>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let number = numbers[group.x];
    if number < p.first || number >= p.first + p.rows {
        return;
    }
    for (var four = thread; four < p.d4; four += 64u) {
        let at = group.x * p.d4 + four;
        let value = widen(matrix[(number - p.first) * p.d4 + four]) * LOWER;
        if p.adds != 0u {
            out[at] += value;
        } else {
            out[at] = value;
        }
    }
}
