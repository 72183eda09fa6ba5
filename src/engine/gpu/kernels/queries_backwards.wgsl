// Attention backwards, by query: scores [query, head, key], derivatives by the products of queries and keys, and the queries'
// part of g [query, 3 d_model]. Bindings of queries, past, own and pattern as in mix.wgsl. A workgroup of 64 takes one head of
// one query. Groups: (queries, heads).

struct Params {
    d_model: u32,
    d_head: u32,
    stride: u32,
    n_key: u32,
    z_stride: u32,
    scale: f32,
}

@group(0) @binding(0) var<storage, read> queries: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> past: array<f32>;
@group(0) @binding(2) var<storage, read> own: array<f32>;
@group(0) @binding(3) var<storage, read> pattern: array<f32>;
@group(0) @binding(4) var<storage, read> g_z: array<f32>;
@group(0) @binding(5) var<storage, read_write> scores: array<f32>;
@group(0) @binding(6) var<storage, read_write> g: array<f32>;
@group(0) @binding(7) var<uniform> p: Params;

var<workgroup> parts: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let about = queries[group.x];
    let at = (group.x * groups.y + group.y) * p.n_key;
    let head = group.y * p.d_head;
    let z = group.x * p.z_stride + head;
    var mean = 0.0;
    for (var key = thread; key <= about.w; key += 64u) {
        var by = 0.0;
        if key < about.z {
            let start = key * p.stride + 2u * p.d_model + head;
            for (var i = 0u; i < p.d_head; i += 1u) {
                by += g_z[z + i] * past[start + i];
            }
        } else {
            let start = (about.y + key - about.z) * p.stride + 2u * p.d_model + head;
            for (var i = 0u; i < p.d_head; i += 1u) {
                by += g_z[z + i] * own[start + i];
            }
        }
        scores[at + key] = by;
        mean += by * pattern[at + key];
    }
    parts[thread] = mean;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if thread < half {
            parts[thread] += parts[thread + half];
        }
        workgroupBarrier();
    }
    mean = parts[0];
    for (var key = thread; key < p.n_key; key += 64u) {
        scores[at + key] = select(0.0, p.scale * pattern[at + key] * (scores[at + key] - mean), key <= about.w);
    }
    // every thread reads all scores
    storageBarrier();
    workgroupBarrier();
    for (var i = thread; i < p.d_head; i += 64u) {
        var sum = 0.0;
        for (var key = 0u; key < about.z; key += 1u) {
            sum += scores[at + key] * past[key * p.stride + p.d_model + head + i];
        }
        for (var key = about.z; key <= about.w; key += 1u) {
            sum += scores[at + key] * own[(about.y + key - about.z) * p.stride + p.d_model + head + i];
        }
        g[about.x * p.stride + head + i] = sum;
    }
}
