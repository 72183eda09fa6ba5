// out [rows, n] = activate(x [rows, k] · weights [k, n] + bias [n]) + add [rows, n]: many rows, in tiles.
// A workgroup of 256 makes 16 * DOWN rows times 64 * ACROSS columns; a thread DOWN rows, ACROSS times four columns. Tiles of
// x and of the weights, 16 deep, lie in shared memory: at most 16 KiB, WebGPU's least.
// Groups: (columns / (64 * ACROSS), rows / (16 * DOWN)).

struct Params {
    rows: u32,
    // fours in a row of x, and how many rows of weights there are
    k4: u32,
    k: u32,
    // fours in a row of weights and of out
    n4: u32,
    // where in out the first row goes
    out_row: u32,
    adds: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> weights: array<Weights>;
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> add: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(5) var<uniform> p: Params;

const TILE_ROWS = 16u * DOWN;
const FOURS = 16u * ACROSS;

// [row, fours of k], one more to a row so that threads of neighbouring rows read other banks
var<workgroup> xs: array<vec4<f32>, TILE_ROWS * 5u>;
// [k, fours of n]
var<workgroup> ws: array<vec4<f32>, 16u * FOURS>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let column = thread % 16u;
    let row = thread / 16u;
    let first_row = group.y * TILE_ROWS;
    let first_four = group.x * FOURS;
    var sums: array<vec4<f32>, DOWN * ACROSS>;
    for (var from4 = 0u; from4 < p.k4; from4 += 4u) {
        for (var at = thread; at < TILE_ROWS * 4u; at += 256u) {
            let r = at / 4u;
            let four = from4 + at % 4u;
            var value = vec4<f32>(0.0);
            if first_row + r < p.rows && four < p.k4 {
                value = x[(first_row + r) * p.k4 + four];
            }
            xs[r * 5u + at % 4u] = value;
        }
        for (var at = thread; at < 16u * FOURS; at += 256u) {
            let k = from4 * 4u + at / FOURS;
            let four = first_four + at % FOURS;
            var value = vec4<f32>(0.0);
            if k < p.k && four < p.n4 {
                value = widen(weights[k * p.n4 + four]);
            }
            ws[at] = value;
        }
        workgroupBarrier();
        for (var k4 = 0u; k4 < 4u; k4 += 1u) {
            var left: array<vec4<f32>, DOWN>;
            for (var r = 0u; r < DOWN; r += 1u) {
                left[r] = xs[(row + 16u * r) * 5u + k4];
            }
            for (var c = 0u; c < ACROSS; c += 1u) {
                let at = k4 * 4u * FOURS + column + 16u * c;
                let w0 = ws[at];
                let w1 = ws[at + FOURS];
                let w2 = ws[at + 2u * FOURS];
                let w3 = ws[at + 3u * FOURS];
                for (var r = 0u; r < DOWN; r += 1u) {
                    let v = left[r];
                    sums[r * ACROSS + c] += v.x * w0 + v.y * w1 + v.z * w2 + v.w * w3;
                }
            }
        }
        workgroupBarrier();
    }
    for (var r = 0u; r < DOWN; r += 1u) {
        let at_row = first_row + row + 16u * r;
        for (var c = 0u; c < ACROSS; c += 1u) {
            let four = first_four + column + 16u * c;
            if at_row < p.rows && four < p.n4 {
                var value = activate(sums[r * ACROSS + c] * LOWER + bias[four]);
                if p.adds != 0u {
                    value += add[at_row * p.n4 + four];
                }
                out[(p.out_row + at_row) * p.n4 + four] = value;
            }
        }
    }
}
