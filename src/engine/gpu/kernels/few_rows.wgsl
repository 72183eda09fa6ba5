// As product.wgsl, for ROWS rows, at most 8: each weight is read once, and what counts is how fast.
// A workgroup of 256 makes 4 * LANES columns: LANES threads side by side read neighbouring weights of a row, and the
// 256 / LANES rows of threads share the depth k among them; their sums meet in shared memory.
// Groups: (columns / (4 * LANES), 1).

struct Params {
    rows: u32,
    k4: u32,
    k: u32,
    n4: u32,
    out_row: u32,
    adds: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> weights: array<Weights>;
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> add: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(5) var<uniform> p: Params;

const SLICES = 256u / LANES;

var<workgroup> parts: array<vec4<f32>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let lane = thread % LANES;
    let slice = thread / LANES;
    let four = group.x * LANES + lane;
    var sums: array<vec4<f32>, ROWS>;
    if four < p.n4 {
        for (var k4 = slice; k4 < p.k4; k4 += SLICES) {
            // rows beyond the last are multiplied with the zeros that x has there
            let last = p.k - 1u;
            let w0 = widen(weights[min(4u * k4, last) * p.n4 + four]);
            let w1 = widen(weights[min(4u * k4 + 1u, last) * p.n4 + four]);
            let w2 = widen(weights[min(4u * k4 + 2u, last) * p.n4 + four]);
            let w3 = widen(weights[min(4u * k4 + 3u, last) * p.n4 + four]);
            for (var r = 0u; r < ROWS; r += 1u) {
                let v = x[r * p.k4 + k4];
                sums[r] += v.x * w0 + v.y * w1 + v.z * w2 + v.w * w3;
            }
        }
    }
    for (var r = 0u; r < ROWS; r += 1u) {
        parts[thread] = sums[r];
        workgroupBarrier();
        for (var half = SLICES / 2u; half > 0u; half /= 2u) {
            if slice < half {
                parts[thread] += parts[thread + half * LANES];
            }
            workgroupBarrier();
        }
        if slice == 0u && four < p.n4 {
            var value = activate(parts[lane] * LOWER + bias[four]);
            if p.adds != 0u {
                value += add[r * p.n4 + four];
            }
            out[(p.out_row + r) * p.n4 + four] = value;
        }
        workgroupBarrier();
    }
}
