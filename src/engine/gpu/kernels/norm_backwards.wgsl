// LayerNorm backwards: out [rows, d] = g + (u - mean(u) - n mean(u n)) / scale, where n = (x - mean) / scale and
// u = g_out * weight, g_out being the derivative by what LayerNorm gives. A workgroup of 128 takes a row. Groups: (rows, 1).

struct Params {
    d: u32,
    d4: u32,
    eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> g_out: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(5) var<uniform> p: Params;

var<workgroup> parts: array<vec2<f32>, 128>;

fn sums_of(value: vec2<f32>, thread: u32) -> vec2<f32> {
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

fn centred(row: u32, four: u32, mean: f32) -> vec4<f32> {
    let place = vec4<u32>(4u * four) + vec4<u32>(0u, 1u, 2u, 3u);
    return select(vec4<f32>(0.0), x[row * p.d4 + four] - mean, place < vec4<u32>(p.d));
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x;
    let d = f32(p.d);
    var sums = vec2<f32>(0.0);
    for (var four = thread; four < p.d4; four += 128u) {
        let u = g_out[row * p.d4 + four] * weight[four];
        sums += vec2<f32>(dot(centred(row, four, 0.0), vec4<f32>(1.0)), dot(u, vec4<f32>(1.0)));
    }
    let means = sums_of(sums, thread) / d;
    sums = vec2<f32>(0.0);
    for (var four = thread; four < p.d4; four += 128u) {
        let value = centred(row, four, means.x);
        let u = g_out[row * p.d4 + four] * weight[four];
        sums += vec2<f32>(dot(value, value), dot(value, u));
    }
    let products = sums_of(sums, thread) / d;
    let scale = sqrt(products.x + p.eps);
    let mean_un = products.y / scale;
    for (var four = thread; four < p.d4; four += 128u) {
        let place = vec4<u32>(4u * four) + vec4<u32>(0u, 1u, 2u, 3u);
        let n = centred(row, four, means.x) / scale;
        let u = g_out[row * p.d4 + four] * weight[four];
        let by = select(vec4<f32>(0.0), (u - means.y - n * mean_un) / scale, place < vec4<u32>(p.d));
        out[row * p.d4 + four] = g[row * p.d4 + four] + by;
    }
}
