// LayerNorm of rows: scale [rows] = sqrt(variance + eps), out [rows, d] = (x - mean) / scale * weight + bias.
// Given its scale, a row is only normalised by it. A workgroup of 128 takes a row.
// Groups: (rows, 1).

struct Params {
    // numbers in a row, and fours
    d: u32,
    d4: u32,
    eps: f32,
    is_given: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(5) var<uniform> p: Params;

var<workgroup> parts: array<f32, 128>;

fn sum_of(value: f32, thread: u32) -> f32 {
    parts[thread] = value;
    workgroupBarrier();
    for (var half = 64u; half > 0u; half /= 2u) {
        if thread < half {
            parts[thread] += parts[thread + half];
        }
        workgroupBarrier();
    }
    let sum = parts[0];
    workgroupBarrier();
    return sum;
}

// x - mean, and 0 beyond the row's end
fn centred(row: u32, four: u32, mean: f32) -> vec4<f32> {
    let place = vec4<u32>(4u * four) + vec4<u32>(0u, 1u, 2u, 3u);
    return select(vec4<f32>(0.0), x[row * p.d4 + four] - mean, place < vec4<u32>(p.d));
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x;
    var sum = 0.0;
    for (var four = thread; four < p.d4; four += 128u) {
        sum += dot(centred(row, four, 0.0), vec4<f32>(1.0));
    }
    let mean = sum_of(sum, thread) / f32(p.d);
    var squares = 0.0;
    for (var four = thread; four < p.d4; four += 128u) {
        let value = centred(row, four, mean);
        squares += dot(value, value);
    }
    var by = sqrt(sum_of(squares, thread) / f32(p.d) + p.eps);
    if p.is_given != 0u {
        by = scale[row];
    } else if thread == 0u {
        scale[row] = by;
    }
    for (var four = thread; four < p.d4; four += 128u) {
        out[row * p.d4 + four] = centred(row, four, mean) / by * weight[four] + bias[four];
    }
}
