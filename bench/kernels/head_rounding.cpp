// What rounding the operands of the mixture's products does to its norms and gradients, on the CPU:
// which of them may go to a GPU's tensor cores, and in which form.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <bit>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "bench/support/bench_options.h"
#include "experiments/command_line/program.h"
#include "kernels/library/gemm.h"
#include "runtime/parallel.h"
#include "runtime/philox.h"

namespace {

using namespace pal;

struct Options {
  int64_t batch = 64;
  int64_t classes = 1000;
  int64_t rank = 128;
  int64_t dims = 147456;
  int64_t columns = 8192;
  bool json = false;
};

/// A matrix in double.
struct Wide {
  int64_t rows = 0, columns = 0;
  std::vector<double> values;
  Wide(int64_t r, int64_t c) : rows(r), columns(c), values(static_cast<size_t>(r * c)) {}
  double* row(int64_t i) { return values.data() + i * columns; }
  const double* row(int64_t i) const { return values.data() + i * columns; }
};

Wide transposed(const Wide& a) {
  Wide t(a.columns, a.rows);
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t j = 0; j < a.columns; ++j) t.row(j)[i] = a.row(i)[j];
  return t;
}

/// a b^T.
Wide exact_product(const Wide& a, const Wide& b) {
  Wide c(a.rows, b.rows);
  parallel_for(a.rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      for (int64_t j = 0; j < b.rows; ++j) {
        constexpr int64_t kLanes = 8;
        double sums[kLanes] = {};
        int64_t k = 0;
        for (; k + kLanes <= a.columns; k += kLanes)
          for (int64_t l = 0; l < kLanes; ++l) sums[l] += a.row(i)[k + l] * b.row(j)[k + l];
        for (; k < a.columns; ++k) sums[0] += a.row(i)[k] * b.row(j)[k];
        for (const double sum : sums) c.row(i)[j] += sum;
      }
  });
  return c;
}

/// A number's upper `bits` bits of fraction, to nearest or (as tensor cores may do with what is
/// handed to them in f32) cut off.
double kept(double value, int bits, bool nearest) {
  const uint32_t all = std::bit_cast<uint32_t>(static_cast<float>(value));
  const int dropped = 23 - bits;
  const uint32_t even = nearest ? (1U << (dropped - 1)) - 1 + (all >> dropped & 1U) : 0;
  return std::bit_cast<float>((all + even) >> dropped << dropped);
}

Wide map(Wide a, const std::function<double(double)>& f) {
  for (double& value : a.values) value = f(value);
  return a;
}

Wide in_f32(const Wide& a) {
  return map(a, [](double x) { return static_cast<double>(static_cast<float>(x)); });
}

Tensor tensor_of(const Wide& a) {
  const Tensor t = Tensor::empty({a.rows, a.columns});
  for (size_t i = 0; i < a.values.size(); ++i) t.data<float>()[i] = static_cast<float>(a.values[i]);
  return t;
}

/// A way to compute a b^T of f32 matrices. But for "f32" all sums are exact: what is told is the
/// operands' rounding.
struct Form {
  const char* name;
  std::function<Wide(const Wide&, const Wide&)> product;
};

Form rounded(const char* name, int bits, bool nearest) {
  return {name, [=](const Wide& a, const Wide& b) {
            const auto round = [=](double x) { return kept(x, bits, nearest); };
            return exact_product(map(a, round), map(b, round));
          }};
}

/// As the sum of three products of bf16: both operands are a high and a low part.
Wide three_products(const Wide& a, const Wide& b) {
  const auto high = [](double x) { return kept(x, 7, true); };
  const auto low = [&](double x) { return kept(x - high(x), 7, true); };
  const Wide high_b = map(b, high);
  Wide sum = exact_product(map(a, high), high_b);
  const auto add = [&](const Wide& c) {
    for (size_t i = 0; i < c.values.size(); ++i) sum.values[i] += c.values[i];
  };
  add(exact_product(map(a, high), map(b, low)));
  add(exact_product(map(a, low), high_b));
  return sum;
}

std::vector<Form> forms() {
  return {{"f32",
           [](const Wide& a, const Wide& b) {
             const Tensor c = Tensor::empty({a.rows, b.rows});
             cpu::gemm(tensor_of(a), tensor_of(b), c, {.transpose_b = true});
             Wide wide(a.rows, b.rows);
             for (size_t i = 0; i < wide.values.size(); ++i) wide.values[i] = c.data<float>()[i];
             return wide;
           }},
          {"3 x bf16", three_products},
          rounded("TF32", 10, true),
          rounded("TF32, cut off", 10, false),
          rounded("bf16", 7, true)};
}

/// Relative to the norm of what is wanted.
double error_of(const Wide& found, const Wide& wanted) {
  double error = 0.0, norm = 0.0;
  for (size_t i = 0; i < wanted.values.size(); ++i) {
    error += std::pow(found.values[i] - wanted.values[i], 2);
    norm += std::pow(wanted.values[i], 2);
  }
  return std::sqrt(error / norm);
}

/// Normal numbers of that deviation, in f32; others for each seed.
Wide random(int64_t rows, int64_t columns, double scale, uint64_t seed) {
  const Philox numbers(seed, RandomPurpose::test);
  Wide wide(rows, columns);
  for (size_t i = 0; i < wide.values.size(); ++i)
    wide.values[i] =
        scale * static_cast<double>(numbers.normal4(static_cast<uint32_t>(i / 4))[i % 4]);
  return in_f32(wide);
}

/// Softmax minus one-hot, over the batch: the gradient of the cross-entropy's mean.
Wide score_gradients(int64_t batch, int64_t classes) {
  Wide g = random(batch, classes, 2.0, 4);
  for (int64_t n = 0; n < batch; ++n) {
    double sum = 0.0;
    for (int64_t y = 0; y < classes; ++y) sum += g.row(n)[y] = std::exp(g.row(n)[y]);
    for (int64_t y = 0; y < classes; ++y) g.row(n)[y] /= sum * static_cast<double>(batch);
    g.row(n)[n % classes] -= 1.0 / static_cast<double>(batch);
  }
  return in_f32(g);
}

/// What comes out of the head's products, from the same operands by any form.
struct Results {
  Wide gram, half_norms, grad_z, grad_alpha, grad_prototypes;
};

struct Problem {
  explicit Problem(const Options& o)
      : alpha(random(o.classes, o.rank, 1.0, 1)),
        prototypes(random(o.rank, o.dims, 0.01, 2)),
        z(random(o.batch, o.dims, 1.0, 3)),
        grad_scores(score_gradients(o.batch, o.classes)),
        columns(std::min(o.columns, o.dims)) {}

  /// Columns of a matrix over the dimensions, of which gradients look all alike.
  Wide some(const Wide& a) const {
    Wide part(a.rows, columns);
    for (int64_t i = 0; i < a.rows; ++i) std::copy_n(a.row(i), columns, part.row(i));
    return part;
  }

  /// `round` is what a result goes through that is stored: f32 or, for reference, nothing.
  Results results(const std::function<Wide(const Wide&, const Wide&)>& product,
                  const std::function<Wide(const Wide&)>& round) const {
    const Wide alpha_t = transposed(alpha);
    const Wide gram = round(product(prototypes, prototypes));
    const Wide alpha_gram = round(exact_product(alpha, gram));
    Wide half_norms(alpha.rows, 1);
    for (int64_t y = 0; y < alpha.rows; ++y)
      for (int64_t k = 0; k < alpha.columns; ++k)
        half_norms.row(y)[0] += 0.5 * alpha_gram.row(y)[k] * alpha.row(y)[k];
    // The projection is exact in every form, as it makes the scores.
    const Wide projection = round(exact_product(z, prototypes));
    const Wide grad_projection = round(product(grad_scores, alpha_t));
    Wide weighted(alpha.rows, alpha.columns);
    for (int64_t y = 0; y < alpha.rows; ++y) {
      double weight = 0.0;
      for (int64_t n = 0; n < grad_scores.rows; ++n) weight -= grad_scores.row(n)[y];
      for (int64_t k = 0; k < alpha.columns; ++k) weighted.row(y)[k] = weight * alpha.row(y)[k];
    }
    const Wide mixed = round(product(alpha_t, transposed(round(weighted))));
    const Wide prototypes_t = transposed(some(prototypes));
    Wide grad_prototypes = product(transposed(grad_projection), transposed(some(z)));
    const Wide of_norms = product(mixed, prototypes_t);
    for (size_t i = 0; i < of_norms.values.size(); ++i)
      grad_prototypes.values[i] += of_norms.values[i];
    return {gram, half_norms, product(grad_projection, prototypes_t),
            product(transposed(grad_scores), transposed(projection)), std::move(grad_prototypes)};
  }

  Wide alpha, prototypes, z, grad_scores;
  int64_t columns;
};

nlohmann::ordered_json measure(const Options& o) {
  const Problem problem(o);
  const Results wanted = problem.results(exact_product, [](const Wide& a) { return a; });
  auto rows = nlohmann::ordered_json::array();
  for (const Form& form : forms()) {
    const Results found = problem.results(form.product, in_f32);
    rows.push_back({{"form", form.name},
                    {"gram", error_of(found.gram, wanted.gram)},
                    {"norms", error_of(found.half_norms, wanted.half_norms)},
                    {"grad_z", error_of(found.grad_z, wanted.grad_z)},
                    {"grad_alpha", error_of(found.grad_alpha, wanted.grad_alpha)},
                    {"grad_prototypes", error_of(found.grad_prototypes, wanted.grad_prototypes)}});
  }
  return rows;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("head_rounding", [&] {
    CLI::App app(
        "Relative errors of the low-rank mixture's Gram matrix, squared norms and gradients, by "
        "the\nrounding of the operands of its matrix products.",
        "head_rounding");
    Options o;
    app.add_option("-b,--batch-size", o.batch, "images")->capture_default_str();
    app.add_option("--classes", o.classes, "classes")->capture_default_str();
    app.add_option("--rank", o.rank, "prototypes")->capture_default_str();
    app.add_option("--dims", o.dims, "dimensions of the prototypes")->capture_default_str();
    app.add_option("--columns", o.columns, "dimensions whose gradients are looked at")
        ->capture_default_str();
    app.add_flag("--json", o.json, "figures as a JSON array on stdout");
    if (!parse_bench_options(app, argc, argv)) return 0;
    const nlohmann::ordered_json rows = measure(o);
    if (o.json) {
      print_result(rows.dump(1));
      return 0;
    }
    print_result(fmt::format("{:<14} {:>9} {:>9} {:>9} {:>10} {:>15}", "operands", "gram", "norms",
                             "grad z", "grad alpha", "grad prototypes"));
    for (const auto& row : rows)
      print_result(fmt::format(
          "{:<14} {:>9.1e} {:>9.1e} {:>9.1e} {:>10.1e} {:>15.1e}", row["form"].get<std::string>(),
          row["gram"].get<double>(), row["norms"].get<double>(), row["grad_z"].get<double>(),
          row["grad_alpha"].get<double>(), row["grad_prototypes"].get<double>()));
    return 0;
  });
}
