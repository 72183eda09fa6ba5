// out [rows, n] = x [rows, k] · weights [n, k]ᵀ, in tiles: what unembeds, and what goes backwards.
// A workgroup of 256 makes 64 rows times 64 columns; a thread 4 times 4. Tiles 16 deep lie in shared memory.
// Groups: (columns / 64, rows / 64).

struct Params {
    rows: u32,
    // fours in a row of x and of weights
    k4: u32,
    // rows of weights here
    n: u32,
    // floats in a row of out, and where in it the first of these columns goes
    stride: u32,
    out_column: u32,
    first_row: u32,
    // columns to write: those beyond n are 0
    n_out: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> weights: array<Weights>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

// [row, fours of k], one more to a row so that neighbours read other banks
var<workgroup> xs: array<vec4<f32>, 320>;
var<workgroup> ws: array<vec4<f32>, 320>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let column = thread % 16u;
    let row = thread / 16u;
    let first_row = group.y * 64u;
    let first_column = group.x * 64u;
    var sums: array<vec4<f32>, 4>;
    for (var from4 = 0u; from4 < p.k4; from4 += 4u) {
        let r = thread / 4u;
        let four = from4 + thread % 4u;
        var value = vec4<f32>(0.0);
        if first_row + r < p.rows && four < p.k4 {
            value = x[(first_row + r) * p.k4 + four];
        }
        xs[r * 5u + thread % 4u] = value;
        value = vec4<f32>(0.0);
        if first_column + r < p.n && four < p.k4 {
            value = widen(weights[(p.first_row + first_column + r) * p.k4 + four]);
        }
        ws[r * 5u + thread % 4u] = value;
        workgroupBarrier();
        for (var k4 = 0u; k4 < 4u; k4 += 1u) {
            let w0 = ws[column * 5u + k4];
            let w1 = ws[(column + 16u) * 5u + k4];
            let w2 = ws[(column + 32u) * 5u + k4];
            let w3 = ws[(column + 48u) * 5u + k4];
            for (var r = 0u; r < 4u; r += 1u) {
                let v = xs[(row + 16u * r) * 5u + k4];
                sums[r] += vec4<f32>(dot(v, w0), dot(v, w1), dot(v, w2), dot(v, w3));
            }
        }
        workgroupBarrier();
    }
    for (var r = 0u; r < 4u; r += 1u) {
        let at_row = first_row + row + 16u * r;
        for (var c = 0u; c < 4u; c += 1u) {
            let at = first_column + column + 16u * c;
            if at_row < p.rows && at < p.n_out {
                out[at_row * p.stride + p.out_column + at] = sums[r][c] * LOWER;
            }
        }
    }
}
