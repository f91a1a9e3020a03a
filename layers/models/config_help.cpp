#include "layers/models/config_help.h"

#include <algorithm>
#include <string_view>

#include "layers/models/config_fields.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// What types do not tell: a line of help, the range, the families.
struct Entry {
  std::string_view key;
  const char* help;
  double least = -kInfinity;
  double most = kInfinity;
  bool above = false;
  bool flow = true;
};

constexpr Entry kEntries[] = {
    {"entry",
     "What brings the image to the first stage: a downsampling coupling (of a ResNet, a 7x7 "
     "convolution and pooling), Haar alone (a 3x3 convolution of stride 2), or, of a ResNet, a 3x3 "
     "convolution of stride 1 (cifar)",
     -kInfinity, kInfinity, false, false},
    {"entry-7x7", "The paper's 7x7 convolution in the entry's coupling"},
    {"entry-width", "Channels of the entry's subnets, or of a ResNet's first convolution", 1, 65536,
     false, false},
    {"blocks", "Blocks of each stage, the downsampling one included", 1, 10000, false, false},
    {"strides", "Stride of each stage's first block", 1, 2, false, false},
    {"widths", "Channels of each stage's subnets, or of its 3x3 convolutions", 1, 65536, false,
     false},
    {"subnet",
     "The network inside a coupling or residual block: two 3x3 convolutions (basic), or "
     "1x1, 3x3, 1x1",
     -kInfinity, kInfinity, false, false},
    {"coupling", "What a coupling block changes: one half of the channels (slow) or both in turn"},
    {"mixing", "How channels are mixed between blocks; householder and conv1x1 are learned"},
    {"reflections", "Householder reflections of --mixing householder", 1, 65536},
    {"welling", "Mix backwards after each block, so that channels keep their places"},
    {"gin", "Couplings that keep the volume: scales of each image multiply to 1"},
    {"clamp", "Bound of a coupling's log-scale, softly kept", 0, kInfinity, true},
    {"act-norm", "How an act norm's parameter becomes its scale"},
    {"act-norm-init", "Scale that act norms begin with", 0, kInfinity, true},
    {"subnet-gain", "Factor on the first weights of each subnet's last convolution", 0},
    {"dct", "Scaling of the DCT pooling: as the published code has it, or orthonormal"},
    {"latent-norm", "An act norm over the latent dimensions, after the DCT"},
    {"rank",
     "Prototypes that class means are mixed from beyond the pooled channels; 0: each class "
     "has all of its mean to itself",
     0},
    {"mu-init", "Length that class means begin with, in deviations", 0},
    {"head-permutation", "Permute the latent dimensions before the class means"},
};

FieldInfo::Type type_of(const std::string&) { return FieldInfo::Type::text; }
FieldInfo::Type type_of(bool) { return FieldInfo::Type::truth; }
FieldInfo::Type type_of(int64_t) { return FieldInfo::Type::whole; }
FieldInfo::Type type_of(double) { return FieldInfo::Type::number; }
FieldInfo::Type type_of(const std::vector<int64_t>&) { return FieldInfo::Type::wholes; }
template <typename Enum>
FieldInfo::Type type_of(const Enum&) {
  return FieldInfo::Type::word;
}

}  // namespace

FieldInfo field_info(const std::string& key) {
  const Entry* const entry = std::ranges::find(kEntries, std::string_view(key), &Entry::key);
  if (entry == std::end(kEntries)) fail(ErrorKind::failure, "model fields: no help for {}", key);
  FieldInfo info;
  info.help = entry->help;
  info.least = entry->least;
  info.most = entry->most;
  info.above = entry->above;
  info.flow = entry->flow;
  const ModelConfig config;
  visit_fields(config, [&](const char* name, const auto& field) {
    if (key == name) info.type = type_of(field);
  });
  info.words = field_words(key);
  return info;
}

std::vector<std::string> free_field_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kEntries) names.emplace_back(entry.key);
  return names;
}

}  // namespace pal
