// As transposed.wgsl, for ROWS rows, at most 8: each weight is read once, and what counts is how fast.
// A workgroup of 256 makes 16 columns; the 16 threads of each read neighbouring weights of its row.
// Groups: columns / 16, over x and y.

struct Params {
    rows: u32,
    k4: u32,
    n: u32,
    stride: u32,
    out_column: u32,
    first_row: u32,
    n_out: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> weights: array<Weights>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

var<workgroup> parts: array<f32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let lane = thread % 16u;
    let column = (group.y * groups.x + group.x) * 16u + thread / 16u;
    var sums: array<f32, ROWS>;
    if column < p.n {
        for (var k4 = lane; k4 < p.k4; k4 += 16u) {
            let w = widen(weights[(p.first_row + column) * p.k4 + k4]);
            for (var r = 0u; r < ROWS; r += 1u) {
                sums[r] += dot(x[r * p.k4 + k4], w);
            }
        }
    }
    for (var r = 0u; r < ROWS; r += 1u) {
        parts[thread] = sums[r];
        workgroupBarrier();
        for (var half = 8u; half > 0u; half /= 2u) {
            if lane < half {
                parts[thread] += parts[thread + half];
            }
            workgroupBarrier();
        }
        if lane == 0u && column < p.n_out {
            out[r * p.stride + p.out_column + column] = parts[thread] * LOWER;
        }
        workgroupBarrier();
    }
}
