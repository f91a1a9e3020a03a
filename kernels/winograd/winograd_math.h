#pragma once

// The minimal filtering algorithm F(4, 3) along one axis (Lavin and Gray 2016, arXiv:1509.09308): four
// results of a filter of three taps from six inputs by six multiplications. In their terms
// y = A^T [(G g) (B^T d)], and for 3x3 filters the same along the other axis.
//
// The algorithm multiplies polynomials by their values at 0, p, -p, q, -q and infinity. With the usual
// p = 1 and q = 2 the error of a result is 8 to 9 times that of a plain sum in float32; with 11/16 and 3/2
// 4 times, and their powers are exact in binary.
namespace pal::winograd {

inline constexpr int kOutputs = 4;  ///< of a tile, along an axis
inline constexpr int kInputs = 6;
inline constexpr int kTaps = 3;
/// Products of a tile of 4x4 pixels, which take the place of 16 x 9.
inline constexpr int kProducts = kInputs * kInputs;

inline constexpr float kP = 0.6875F;
inline constexpr float kQ = 1.5F;
inline constexpr float kP2 = kP * kP;
inline constexpr float kQ2 = kQ * kQ;
// One over the products of a point's differences from the other ones.
inline constexpr float kAt0 = 1.0F / (kP2 * kQ2);
inline constexpr float kAtP = 1.0F / (2.0F * kP2 * (kP2 - kQ2));
inline constexpr float kAtQ = 1.0F / (2.0F * kQ2 * (kQ2 - kP2));

/// t = B^T d. All of these take V = float or a vector of them.
template <typename V>
inline void transform_input(const V* d, V* t) {
  const V even_p = d[4] - kQ2 * d[2];
  const V odd_p = kP * (d[3] - kQ2 * d[1]);
  const V even_q = d[4] - kP2 * d[2];
  const V odd_q = kQ * (d[3] - kP2 * d[1]);
  t[0] = kP2 * kQ2 * d[0] - (kP2 + kQ2) * d[2] + d[4];
  t[1] = even_p + odd_p;
  t[2] = even_p - odd_p;
  t[3] = even_q + odd_q;
  t[4] = even_q - odd_q;
  t[5] = kP2 * kQ2 * d[1] - (kP2 + kQ2) * d[3] + d[5];
}

/// u = G g.
template <typename V>
inline void transform_weight(const V* g, V* u) {
  const V even_p = kAtP * g[0] + kAtP * kP2 * g[2];
  const V odd_p = kAtP * kP * g[1];
  const V even_q = kAtQ * g[0] + kAtQ * kQ2 * g[2];
  const V odd_q = kAtQ * kQ * g[1];
  u[0] = kAt0 * g[0];
  u[1] = even_p + odd_p;
  u[2] = even_p - odd_p;
  u[3] = even_q + odd_q;
  u[4] = even_q - odd_q;
  u[5] = g[2];
}

/// y = A^T m.
template <typename V>
inline void transform_output(const V* m, V* y) {
  const V sum_p = m[1] + m[2];
  const V difference_p = m[1] - m[2];
  const V sum_q = m[3] + m[4];
  const V difference_q = m[3] - m[4];
  y[0] = m[0] + sum_p + sum_q;
  y[1] = kP * difference_p + kQ * difference_q;
  y[2] = kP2 * sum_p + kQ2 * sum_q;
  y[3] = kP * kP2 * difference_p + kQ * kQ2 * difference_q + m[5];
}

// The gradient of the weights is G^T [(B^T d) (A grad_y)].

/// w = A grad_y.
template <typename V>
inline void transform_output_gradient(const V* y, V* w) {
  const V even_p = y[0] + kP2 * y[2];
  const V odd_p = kP * y[1] + kP * kP2 * y[3];
  const V even_q = y[0] + kQ2 * y[2];
  const V odd_q = kQ * y[1] + kQ * kQ2 * y[3];
  w[0] = y[0];
  w[1] = even_p + odd_p;
  w[2] = even_p - odd_p;
  w[3] = even_q + odd_q;
  w[4] = even_q - odd_q;
  w[5] = y[3];
}

/// g = G^T u.
template <typename V>
inline void transform_weight_gradient(const V* u, V* g) {
  const V sum_p = kAtP * (u[1] + u[2]);
  const V sum_q = kAtQ * (u[3] + u[4]);
  g[0] = kAt0 * u[0] + sum_p + sum_q;
  g[1] = kAtP * kP * (u[1] - u[2]) + kAtQ * kQ * (u[3] - u[4]);
  g[2] = kP2 * sum_p + kQ2 * sum_q + u[5];
}

/// transform(in, out), from kIn to kOut values, along both axes of a square.
template <int kIn, int kOut, typename V, typename Transform>
inline void along_both(const V (&in)[kIn][kIn], V (&out)[kOut][kOut], Transform transform) {
  V half[kOut][kIn];
  for (int x = 0; x < kIn; ++x) {
    V column[kIn];
    V made[kOut];
    for (int y = 0; y < kIn; ++y) column[y] = in[y][x];
    transform(column, made);
    for (int y = 0; y < kOut; ++y) half[y][x] = made[y];
  }
  for (int y = 0; y < kOut; ++y) transform(half[y], out[y]);
}

}  // namespace pal::winograd
