// palindrome._engine: what the Python package is made of. It turns arrays into what the engine takes
// and its errors into exceptions; whatever can be said in Python stands in src/palindrome.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "experiments/command_line/program.h"
#include "experiments/library/image_model.h"
#include "runtime/error.h"
#include "runtime/log.h"

namespace nb = nanobind;
using namespace pal;

namespace {

using AnyArray = nb::ndarray<nb::ro>;

/// "[2, 28, 28]"
std::string shape_text(const AnyArray& array) {
  std::string text = "[";
  for (size_t axis = 0; axis < array.ndim(); ++axis)
    text += (axis == 0 ? "" : ", ") + std::to_string(array.shape(axis));
  return text + "]";
}

std::string type_text(const AnyArray& array) {
  const auto type = array.dtype();
  const auto code = static_cast<nb::dlpack::dtype_code>(type.code);
  const char* kind = "other";
  if (code == nb::dlpack::dtype_code::Int) kind = "int";
  if (code == nb::dlpack::dtype_code::UInt) kind = "uint";
  if (code == nb::dlpack::dtype_code::Float) kind = "float";
  if (code == nb::dlpack::dtype_code::Bool) kind = "bool";
  return kind + std::to_string(type.bits);
}

/// An array in the host's memory, by the DLPack or the buffer protocol.
AnyArray host_array(nb::handle object, const char* what) {
  expect(!nb::cast<bool>(nb::bool_(nb::getattr(object, "requires_grad", nb::bool_(false)))),
         "{}: a tensor that requires gradients, which would get none; detach() it, or use "
         "palindrome.torch",
         what);
  AnyArray array;
  if (object.is_none() || !nb::try_cast(object, array)) {
    PyErr_Clear();
    fail(ErrorKind::usage, "{}: expected an array that numpy or DLPack knows, got {}", what,
         nb::type_name(object.type()).c_str());
  }
  const int device = array.device_type();
  expect(device == nb::device::cpu::value || device == nb::device::cuda_host::value,
         "{}: expected an array on the CPU, got one on another device (DLPack {}); move it there",
         what, device);
  return array;
}

/// Steps of an axis, in values.
int64_t stride_of(const AnyArray& array, size_t axis) {
  if (array.stride_ptr() != nullptr) return array.stride_ptr()[axis];
  int64_t stride = 1;
  for (size_t later = axis + 1; later < array.ndim(); ++later)
    stride *= static_cast<int64_t>(array.shape(later));
  return stride;
}

enum class Layout { nhwc, nchw };

Layout layout_of(const std::string& text) {
  if (text == "nhwc") return Layout::nhwc;
  if (text == "nchw") return Layout::nchw;
  fail(ErrorKind::usage, "layout: expected auto, nhwc or nchw, got '{}'", text);
}

/// Which of the two layouts an array of images has.
Layout layout_of(const AnyArray& array, const std::string& wanted, const ImageModelFacts& facts) {
  const auto size = static_cast<size_t>(facts.image_size);
  const auto channels = static_cast<size_t>(facts.channels);
  const auto fits = [&](size_t height, size_t width, size_t colours) {
    return array.ndim() == 4 && array.shape(height) == size && array.shape(width) == size &&
           array.shape(colours) == channels;
  };
  const bool last = fits(1, 2, 3), first = fits(2, 3, 1);
  if (wanted != "auto") {
    const Layout layout = layout_of(wanted);
    if (layout == Layout::nhwc ? last : first) return layout;
  } else if (last != first) {
    return last ? Layout::nhwc : Layout::nchw;
  } else if (last) {
    expect(size == 1, "layout: {} may be either; say 'nhwc' or 'nchw'", shape_text(array));
    return Layout::nhwc;
  }
  fail(ErrorKind::usage, "images: expected [n, {}, {}, {}] or [n, {}, {}, {}], got {}", size, size,
       channels, channels, size, size, shape_text(array));
}

/// Images of a caller, whose memory is held as long as this is.
struct Images {
  Images(nb::handle object, const std::string& wanted, const ImageModelFacts& facts)
      : array(host_array(object, "images")), layout(layout_of(array, wanted, facts)) {
    view.data = array.data();
    const auto type = array.dtype();
    if (type == nb::dtype<uint8_t>())
      view.type = PixelType::level;
    else if (type == nb::dtype<float>())
      view.type = PixelType::unit_float;
    else if (type == nb::dtype<double>())
      view.type = PixelType::unit_double;
    else
      fail(ErrorKind::usage,
           "images: expected uint8 levels, or pixels in [0, 1] as float32 or float64, got {}",
           type_text(array));
    const std::array<size_t, 4> axes = layout == Layout::nhwc ? std::array<size_t, 4>{0, 1, 2, 3}
                                                              : std::array<size_t, 4>{0, 2, 3, 1};
    for (size_t k = 0; k < axes.size(); ++k) {
      view.extents[k] = static_cast<int64_t>(array.shape(axes[k]));
      view.strides[k] = stride_of(array, axes[k]);
    }
  }

  AnyArray array;
  Layout layout;
  PixelView view;
};

/// The numbers of an array of one or two axes, row by row.
template <typename T>
std::vector<T> numbers_of(nb::handle object, const char* what, const std::vector<int64_t>& shape) {
  const AnyArray array = host_array(object, what);
  std::string expected;
  bool fits = array.ndim() == shape.size();
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    fits = fits && (shape[axis] < 0 || static_cast<int64_t>(array.shape(axis)) == shape[axis]);
    expected += (axis == 0 ? "" : ", ") + (shape[axis] < 0 ? "n" : std::to_string(shape[axis]));
  }
  expect(fits, "{}: expected [{}], got {}", what, expected, shape_text(array));
  const auto type = array.dtype();
  expect(type == nb::dtype<float>() || type == nb::dtype<double>(),
         "{}: expected float32 or float64, got {}", what, type_text(array));
  const size_t rows = array.shape(0), columns = shape.size() == 2 ? array.shape(1) : 1;
  std::vector<T> numbers;
  numbers.reserve(rows * columns);
  for (size_t i = 0; i < rows; ++i)
    for (size_t k = 0; k < columns; ++k) {
      const int64_t at = static_cast<int64_t>(i) * stride_of(array, 0) +
                         (shape.size() == 2 ? static_cast<int64_t>(k) * stride_of(array, 1) : 0);
      if (type == nb::dtype<float>())
        numbers.push_back(static_cast<T>(static_cast<const float*>(array.data())[at]));
      else
        numbers.push_back(static_cast<T>(static_cast<const double*>(array.data())[at]));
    }
  return numbers;
}

/// A numpy array that owns what it shows.
template <typename T, typename Owner>
nb::object numpy_array(Owner owned, T* data, const std::vector<size_t>& shape,
                       const std::vector<int64_t>& strides = {}) {
  auto* const kept = new Owner(std::move(owned));
  const nb::capsule owner(kept,
                          [](void* pointer) noexcept { delete static_cast<Owner*>(pointer); });
  return nb::cast(nb::ndarray<nb::numpy, T>(data, shape.size(), shape.data(), owner,
                                            strides.empty() ? nullptr : strides.data()));
}

nb::object numpy_array(std::vector<double> values, const std::vector<size_t>& shape) {
  double* const data = values.data();  // moving a vector moves no values
  return numpy_array(std::move(values), data, shape);
}

template <typename T>
nb::object numpy_array(const Tensor& tensor) {
  std::vector<size_t> shape;
  for (int axis = 0; axis < tensor.rank(); ++axis)
    shape.push_back(static_cast<size_t>(tensor.size(axis)));
  return numpy_array(tensor, tensor.data<T>(), shape);
}

/// Images [n, h, w, c] as a layout has them, without a copy.
nb::object numpy_images(const Tensor& images, Layout layout) {
  if (layout == Layout::nhwc) return numpy_array<float>(images);
  const int64_t n = images.size(0), h = images.size(1), w = images.size(2), c = images.size(3);
  const std::vector<size_t> shape = {static_cast<size_t>(n), static_cast<size_t>(c),
                                     static_cast<size_t>(h), static_cast<size_t>(w)};
  return numpy_array(images, images.data<float>(), shape, {h * w * c, 1, w * c, c});
}

// When Python ends, daemon threads may still be in calls. None may then compute while what it uses is
// torn down, nor ask for the GIL, which would end the thread amid C++ frames: the one that ends Python
// waits until each has left the engine, and there it stands still for good.
std::atomic<int> running = 0;
std::atomic<bool> ending = false;
std::thread::id ender;

bool ended_by_another() { return ending && std::this_thread::get_id() != ender; }

void stand_still_at_the_end() {
  if (!ended_by_another()) return;
  --running;
  while (true) ::pause();
}

/// Called by atexit.
void end_calls() {
  ender = std::this_thread::get_id();
  ending = true;
  const nb::gil_scoped_release released;
  while (running > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

/// While it lives, other Python threads run.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {
    ++running;
    stand_still_at_the_end();
  }
  ~WithoutGil() {
    stand_still_at_the_end();
    PyEval_RestoreThread(state_);
    --running;
  }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* state_;
};

template <typename Body>
auto without_gil(Body&& body) {
  const WithoutGil others_run;
  return body();
}

/// Whether the user wants to stop: Ctrl-C ends a long call between two pieces of its batch.
void check_signals() {
  if (ended_by_another()) fail(ErrorKind::failure, "Python ends");
  const nb::gil_scoped_acquire held;
  if (PyErr_CheckSignals() != 0) throw nb::python_error();
}

const char* exception_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
      return "UsageError";
    case ErrorKind::data:
      return "DataError";
    case ErrorKind::environment:
      return "ResourceError";
    case ErrorKind::numerics:
      return "NumericsError";
    case ErrorKind::peer:
    case ErrorKind::failure:
      break;
  }
  return "Error";
}

/// Errors of the engine become exceptions of palindrome.errors, with its line.
void translate(const std::exception_ptr& thrown, void*) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    const nb::object type =
        nb::module_::import_("palindrome.errors").attr(exception_of(error.kind()));
    PyErr_SetString(type.ptr(), error.what());
  }
}

/// A model and its facts in Python's types.
class Engine {
 public:
  Engine(const std::string& path, const std::string& device, int threads, bool check_range)
      : model_(without_gil([&] {
          return std::make_unique<ImageModel>(
              path, ImageModelOptions{device, threads, check_range, check_signals});
        })) {}

  const ImageModelFacts& facts() const { return model_->facts(); }

  nb::tuple answers(nb::handle images, const std::string& layout) {
    const Images given(images, layout, facts());
    ImageAnswers said = without_gil([&] { return model_->answers(given.view); });
    const auto n = static_cast<size_t>(given.view.count());
    const nb::object scores =
        numpy_array(std::move(said.scores), {n, static_cast<size_t>(facts().classes)});
    if (!facts().has_density) return nb::make_tuple(scores, nb::none(), nb::none());
    return nb::make_tuple(scores, numpy_array(std::move(said.log_prob), {n}),
                          numpy_array(std::move(said.bits_per_dim), {n}));
  }
  nb::object posterior(nb::handle images, bool calibrated, const std::string& layout) {
    const Images given(images, layout, facts());
    return numpy_array(
        without_gil([&] { return model_->posterior(given.view, calibrated); }),
        {static_cast<size_t>(given.view.count()), static_cast<size_t>(facts().classes)});
  }
  nb::object encode(nb::handle images, const std::string& layout) {
    const Images given(images, layout, facts());
    return numpy_array<float>(without_gil([&] { return model_->encode(given.view); }));
  }
  nb::object decode(nb::handle latents, const std::string& layout) {
    const Layout made = layout_of(layout);
    std::vector<float> values = numbers_of<float>(latents, "latents", {-1, facts().dims});
    const auto n = static_cast<int64_t>(values.size()) / facts().dims;
    return numpy_images(without_gil([&] {
                          return model_->decode(Tensor::borrowed(values.data(), {n, facts().dims},
                                                                 DType::f32, Device()));
                        }),
                        made);
  }
  nb::object sample(int64_t y, int64_t n, double temperature, uint64_t seed, bool clip,
                    const std::string& layout) {
    const Layout made = layout_of(layout);
    return numpy_images(without_gil([&] { return model_->sample(y, n, temperature, seed, clip); }),
                        made);
  }
  nb::object evidence(nb::handle images, const std::vector<int64_t>& a,
                      const std::vector<int64_t>& b, const std::string& layout) {
    const Images given(images, layout, facts());
    return numpy_array<double>(without_gil([&] { return model_->evidence(given.view, a, b); }));
  }
  nb::object vjp(nb::handle images, nb::handle grad_scores, nb::handle grad_log_prob,
                 const std::string& layout) {
    const Images given(images, layout, facts());
    const int64_t n = given.view.count();
    std::vector<double> of_scores, of_log_prob;
    if (!grad_scores.is_none())
      of_scores = numbers_of<double>(grad_scores, "grad_scores", {n, facts().classes});
    if (!grad_log_prob.is_none())
      of_log_prob = numbers_of<double>(grad_log_prob, "grad_log_prob", {n});
    return numpy_images(
        without_gil([&] { return model_->vjp(given.view, of_scores, of_log_prob); }), given.layout);
  }
  void close() {
    without_gil([&] { model_->close(); });
  }
  bool closed() {
    return without_gil([&] { return model_->closed(); });
  }

 private:
  std::unique_ptr<ImageModel> model_;
};

}  // namespace

NB_MODULE(_engine, m) {
  // Warnings alone go to stderr.
  set_log_level(LogLevel::quiet);
  nb::register_exception_translator(translate);
  nb::module_::import_("atexit").attr("register")(nb::cpp_function(end_calls));
  // Threads that stand still at the end keep what they hold.
  nb::set_leak_warnings(false);
  m.attr("version") = version();
  m.attr("native") = PAL_NATIVE != 0;
  nb::class_<ImageModelFacts>(m, "Facts")
      .def_ro("checkpoint", &ImageModelFacts::checkpoint)
      .def_ro("architecture", &ImageModelFacts::architecture)
      .def_ro("classes", &ImageModelFacts::classes)
      .def_ro("class_names", &ImageModelFacts::class_names)
      .def_ro("image_size", &ImageModelFacts::image_size)
      .def_ro("channels", &ImageModelFacts::channels)
      .def_ro("dims", &ImageModelFacts::dims)
      .def_ro("has_density", &ImageModelFacts::has_density)
      .def_ro("mean", &ImageModelFacts::mean)
      .def_ro("std", &ImageModelFacts::std)
      .def_ro("temperature", &ImageModelFacts::temperature)
      .def_ro("device", &ImageModelFacts::device)
      .def_ro("threads", &ImageModelFacts::threads);
  nb::class_<Engine>(m, "Engine")
      .def(nb::init<const std::string&, const std::string&, int, bool>())
      .def_prop_ro("facts", &Engine::facts, nb::rv_policy::reference_internal)
      .def("answers", &Engine::answers, nb::arg("images").none(), nb::arg("layout"))
      .def("posterior", &Engine::posterior, nb::arg("images").none(), nb::arg("calibrated"),
           nb::arg("layout"))
      .def("encode", &Engine::encode, nb::arg("images").none(), nb::arg("layout"))
      .def("decode", &Engine::decode, nb::arg("latents").none(), nb::arg("layout"))
      .def("sample", &Engine::sample)
      .def("evidence", &Engine::evidence, nb::arg("images").none(), nb::arg("a"), nb::arg("b"),
           nb::arg("layout"))
      .def("vjp", &Engine::vjp, nb::arg("images").none(), nb::arg("grad_scores").none(),
           nb::arg("grad_log_prob").none(), nb::arg("layout"))
      .def("close", &Engine::close)
      .def("closed", &Engine::closed);
}
