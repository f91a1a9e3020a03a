#include "autograd/parameter.h"

#include <algorithm>
#include <set>

#include "kernels/arrays/elementwise.h"
#include "runtime/error.h"
#include "runtime/philox.h"

namespace pal {
namespace {

void initialise(const Parameter& parameter, uint64_t seed) {
  if (parameter.init.kind == Init::Kind::custom) return;
  if (parameter.init.kind == Init::Kind::constant)
    return parameter.value.fill(parameter.init.value);
  const Philox random(seed, RandomPurpose::init, random_stream_of(parameter.name));
  dispatch_real("initialise", parameter.value.dtype(), [&](auto typed) {
    using T = decltype(typed);
    T* to = parameter.value.data<T>();
    for (int64_t i = 0; i < parameter.value.numel(); i += 4) {
      const auto four = random.normal4(static_cast<uint32_t>(i / 4));
      for (int64_t k = i; k < std::min(i + 4, parameter.value.numel()); ++k)
        to[k] =
            static_cast<T>(parameter.init.value) * static_cast<T>(four[static_cast<size_t>(k - i)]);
    }
  });
}

}  // namespace

uint64_t random_stream_of(const std::string& name) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
  return hash;
}

void StateList::add(const std::string& name, Parameter& parameter) {
  parameter.name = name;
  parameters.push_back(&parameter);
}

void StateList::add(const std::string& name, Tensor& buffer) { buffers.push_back({name, &buffer}); }

void StateList::add_statistic(const std::string& name, Tensor& statistic) {
  buffers.push_back({name, &statistic, true});
}

void ParameterStore::materialise(const std::vector<Parameter*>& parameters, DType dtype,
                                 std::optional<uint64_t> seed) {
  parameters_ = parameters;
  const auto place = [](const Parameter* p) {
    return p->group == ParameterGroup::means ? 2 : (p->head ? 1 : 0);
  };
  std::ranges::stable_sort(parameters_, {}, place);
  int64_t total = 0;
  network_count_ = before_head_ = 0;
  std::set<std::string> names;
  for (const Parameter* p : parameters_) {
    expect(names.insert(p->name).second, "ParameterStore: two parameters are called {}", p->name);
    total += p->shape.numel();
    if (place(p) <= 1) network_count_ += p->shape.numel();
    if (place(p) == 0) before_head_ += p->shape.numel();
  }
  values_ = Tensor::zeros({total}, dtype, Tag::parameters, device_of_values());
  grads_ = Tensor::zeros({total}, dtype, Tag::gradients, device_of_values());
  statistics_ = Tensor::zeros({0}, dtype, Tag::parameters, device_of_values());
  moving_.clear();
  make_views();
  if (values_.device().meta || !seed) return;
  for (const Parameter* p : parameters_) initialise(*p, *seed);
}

void ParameterStore::make_views() {
  int64_t offset = 0;
  for (Parameter* p : parameters_) {
    p->value = values_.view_at(offset, p->shape);
    p->grad = grads_.view_at(offset, p->shape);
    p->shadow.impl.reset();
    offset += p->shape.numel();
  }
  mark_changed();
}

void ParameterStore::gather_statistics(const std::vector<Buffer>& buffers) {
  int64_t total = 0;
  moving_.clear();
  for (const Buffer& b : buffers) {
    if (!b.moves) continue;
    total += b.tensor->numel();
    moving_.push_back(b);
  }
  const Tensor gathered = Tensor::empty({total}, dtype(), Tag::parameters, values_.device());
  int64_t offset = 0;
  for (const Buffer& b : moving_) {
    gathered.view_at(offset, b.tensor->shape()).copy_from(*b.tensor);
    offset += b.tensor->numel();
  }
  statistics_ = gathered;
  make_statistic_views();
}

void ParameterStore::make_statistic_views() {
  int64_t offset = 0;
  for (const Buffer& b : moving_) {
    *b.tensor = statistics_.view_at(offset, b.tensor->shape());
    offset += b.tensor->numel();
  }
}

void ParameterStore::to(Device device) {
  if (values_.device() == device) return;
  values_ = values_.to(device, Tag::parameters);
  grads_ = grads_.to(device, Tag::gradients);
  statistics_ = statistics_.to(device, Tag::parameters);
  make_views();
  make_statistic_views();
}

Tensor ParameterStore::values(ParameterGroup group) const {
  return group == ParameterGroup::network
             ? values_.view_at(0, {network_count_})
             : values_.view_at(network_count_, {values_.numel() - network_count_});
}

Tensor ParameterStore::grads(ParameterGroup group) const {
  return group == ParameterGroup::network
             ? grads_.view_at(0, {network_count_})
             : grads_.view_at(network_count_, {grads_.numel() - network_count_});
}

int64_t ParameterStore::place_of(const Parameter& parameter) const {
  return (static_cast<const char*>(parameter.value.raw()) -
          static_cast<const char*>(values_.raw())) /
         size_of(dtype());
}

int64_t ParameterStore::count(ParameterGroup group) const {
  return group == ParameterGroup::network ? network_count_ : values_.numel() - network_count_;
}

void ParameterStore::mark_changed() const {
  for (Parameter* p : parameters_) ++p->shadow.version;
}

}  // namespace pal
