#include "layers/checkpoint/checkpoint_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "layers/checkpoint/digest.h"
#include "layers/checkpoint/safetensors.h"
#include "runtime/error.h"
#include "runtime/parallel.h"

namespace pal {
namespace {

// Pieces of a second-level cache, of which a window holds as many as fit into a third.
constexpr int64_t kPieceBytes = int64_t{256} << 10;
constexpr int64_t kWindowBytes = int64_t{4} << 20;

/// A range of the file that one thread reads and brings to its place.
struct Piece {
  int64_t begin = 0;
  int64_t bytes = 0;
  uint8_t* target = nullptr;  // null: for the digest alone
  int64_t filters = 0;        // 0: as it is; else so many [channels, pixels] matrices, transposed
  int64_t channels = 1;
  int64_t pixels = 1;
  int64_t item = 1;
};

/// Appends a tensor's pieces. Filters are not cut, so that each piece is whole matrices.
void cut(const TensorInfo& tensor, const Tensor* target, std::vector<Piece>& pieces) {
  Piece piece;
  int64_t unit = 1;
  if (target != nullptr && target->rank() == 4 && target->size(1) * target->size(2) > 1) {
    piece.pixels = target->size(1) * target->size(2);
    piece.channels = target->size(3);
    piece.item = size_of(target->dtype());
    unit = std::max<int64_t>(1, piece.channels * piece.pixels * piece.item);
  }
  const int64_t most = std::max(unit, kPieceBytes / unit * unit);
  for (piece.begin = tensor.begin; piece.begin < tensor.end; piece.begin += piece.bytes) {
    piece.bytes = std::min(most, tensor.end - piece.begin);
    if (unit > 1) piece.filters = piece.bytes / unit;
    piece.target = target == nullptr
                       ? nullptr
                       : static_cast<uint8_t*>(target->raw()) + (piece.begin - tensor.begin);
    pieces.push_back(piece);
  }
}

template <typename T>
void transpose(const Piece& piece, const uint8_t* source) {
  for (int64_t filter = 0; filter < piece.filters; ++filter) {
    const int64_t at = filter * piece.channels * piece.pixels;
    for (int64_t pixel = 0; pixel < piece.pixels; ++pixel)
      for (int64_t channel = 0; channel < piece.channels; ++channel)
        std::memcpy(piece.target + (at + pixel * piece.channels + channel) * sizeof(T),
                    source + (at + channel * piece.pixels + pixel) * sizeof(T), sizeof(T));
  }
}

void place(const Piece& piece, const uint8_t* source) {
  if (piece.target == nullptr) return;
  if (piece.filters == 0) {
    std::memcpy(piece.target, source, static_cast<size_t>(piece.bytes));
    return;
  }
  switch (piece.item) {
    case 8:
      return transpose<uint64_t>(piece, source);
    case 4:
      return transpose<uint32_t>(piece, source);
    case 2:
      return transpose<uint16_t>(piece, source);
    default:
      return transpose<uint8_t>(piece, source);
  }
}

/// The path, unless nothing is there.
const std::string& present(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT)
    fail(ErrorKind::data, "{}: no such file", path);
  return path;
}

std::vector<uint8_t> head_of(const FileReader& file) {
  // Enough to tell what is no such file.
  std::vector<uint8_t> head(static_cast<size_t>(std::min<int64_t>(file.size(), 64)));
  file.read(0, head);
  const auto known = static_cast<int64_t>(head.size());
  const int64_t wanted = safetensors_head_bytes(head, file.size());
  if (wanted <= known) return head;
  head.resize(static_cast<size_t>(wanted));
  file.read(known, std::span(head).subspan(static_cast<size_t>(known)));
  return head;
}

}  // namespace

CheckpointReader::CheckpointReader(const std::string& path)
    : file_(present(path), path),
      head_(head_of(file_)),
      header_(parse_safetensors(head_, file_.size(), path)) {
  head_.resize(static_cast<size_t>(header_.data_begin));
  if (header_.digest_offset >= 0 && is_digest(metadata().at("digest")))
    std::ranges::copy(Digest::zeros(), head_.begin() + header_.digest_offset);
  check_checkpoint_metadata(metadata(), name());
  for (size_t i = 0; i < tensors().size(); ++i) index_.emplace(tensors()[i].name, i);
}

const TensorInfo* CheckpointReader::find(const std::string& tensor) const {
  const auto found = index_.find(tensor);
  return found == index_.end() ? nullptr : &tensors()[found->second];
}

void CheckpointReader::read(const std::vector<std::pair<std::string, Tensor>>& targets) const {
  std::vector<const Tensor*> places(tensors().size(), nullptr);
  for (const auto& [tensor, target] : targets) {
    const TensorInfo* const info = find(tensor);
    expect(info != nullptr && info->dtype == target.dtype() &&
               engine_shape(*info, name()) == target.shape() && target.is_dense() &&
               target.device().is_cpu(),
           "CheckpointReader: {} does not fit", tensor);
    places[static_cast<size_t>(info - tensors().data())] = &target;
  }
  std::vector<Piece> pieces;
  for (size_t i = 0; i < tensors().size(); ++i) cut(tensors()[i], places[i], pieces);

  Digest digest;
  digest.update(head_);
  std::vector<uint8_t> window;
  for (size_t first = 0, last = 0; first < pieces.size(); first = last) {
    const int64_t begin = pieces[first].begin;
    int64_t bytes = 0;
    for (; last < pieces.size() && (last == first || bytes + pieces[last].bytes <= kWindowBytes);
         ++last)
      bytes += pieces[last].bytes;
    if (static_cast<int64_t>(window.size()) < bytes) window.resize(static_cast<size_t>(bytes));
    parallel_for(static_cast<int64_t>(last - first), 1, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) {
        const Piece& piece = pieces[first + static_cast<size_t>(i)];
        const auto part = std::span(window).subspan(static_cast<size_t>(piece.begin - begin),
                                                    static_cast<size_t>(piece.bytes));
        file_.read(piece.begin, part);
        place(piece, part.data());
      }
    });
    digest.update(std::span(window).first(static_cast<size_t>(bytes)));
  }
  const auto noted = metadata().find("digest");
  if (header_.digest_offset < 0 || noted->second != digest.hex())
    fail(ErrorKind::data, "{}:8: the file does not match its digest; use an earlier checkpoint",
         name());
}

Checkpoint load_header(const std::string& path) { return {CheckpointReader(path).metadata(), {}}; }

Shape engine_shape(const TensorInfo& tensor, const std::string& file) {
  const Shape stored = stored_shape(tensor, file);
  return stored.rank() == 4 ? Shape{stored[0], stored[2], stored[3], stored[1]} : stored;
}

}  // namespace pal
