// The logit difference of two tokens where rows end: difference [rows] = x [rows, d] · along [d] / scale [rows] + bias.
// A workgroup of 64 takes a row. Groups: (rows, 1).

struct Params {
    d4: u32,
    bias: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> along: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> difference: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

var<workgroup> parts: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    var sum = 0.0;
    for (var four = thread; four < p.d4; four += 64u) {
        sum += dot(x[group.x * p.d4 + four], along[four]);
    }
    parts[thread] = sum;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if thread < half {
            parts[thread] += parts[thread + half];
        }
        workgroupBarrier();
    }
    if thread == 0u {
        difference[group.x] = parts[0] / scale[group.x] + p.bias;
    }
}
