#pragma once
#include <memory>
#include <optional>

#include "layers/checkpoint/pickle.h"
#include "layers/checkpoint/tensor_source.h"
#include "layers/checkpoint/zip_reader.h"

namespace pal {

/// What a reader of PyTorch files is ready to accept.
struct TorchLimits {
  ZipLimits zip;
  PickleLimits pickle;
};

/// A file that torch.save wrote: the zip container of version 1.6 and later, or the older stream of
/// pickles and raw storages. Numbers are read when they are asked for; a storage's checksum (of a zip
/// container that has any) is compared when the first of them are. Tensors are named by the keys that lead to them,
/// joined by dots.
class TorchFile : public TensorSource {
 public:
  /// Throws data with `path:OFFSET: ...` for a broken file or one that asks for more than tensors
  /// and plain values.
  explicit TorchFile(const std::string& path, const TorchLimits& limits = {});
  /// The file whose bytes are at hand and must outlive the object; `name` is what messages call it.
  TorchFile(std::span<const uint8_t> bytes, const std::string& name,
            const TorchLimits& limits = {});

  const std::string& file() const override { return bytes_->name(); }
  using TensorSource::read;
  void read(const SourceTensor& tensor, std::span<uint8_t> target) const override;

  /// Whether the file is the older stream.
  bool is_legacy() const { return !zip_; }
  /// Whether it is a zip container that was written without checksums, as PyTorch may be told to.
  bool lacks_checksums() const { return zip_ && !zip_->has_checksums(); }
  /// Keys of the outermost dictionary.
  const std::vector<std::string>& keys() const { return keys_; }
  /// Compares the checksums of all entries, whether they belong to a tensor or not. Throws data.
  void verify() const;

 private:
  /// Where the numbers of a storage lie; `entry` is null in the older stream.
  struct Place {
    int64_t begin = 0;
    const ZipEntry* entry = nullptr;
    mutable bool verified = false;
  };

  void open(const TorchLimits& limits);
  Pickle open_zip(const TorchLimits& limits);
  Pickle open_legacy(const TorchLimits& limits);
  void list_tensors(const Pickle& pickle, const PickleLimits& limits);

  std::unique_ptr<RandomReader> bytes_;
  std::optional<ZipReader> zip_;
  std::vector<std::string> keys_;
  std::vector<PickleStorage> storages_;
  std::vector<Place> places_;
  /// The storage and view of each of tensors(), in their order.
  std::vector<PickleTensor> views_;
};

/// Whether a file that begins with these bytes is of either form.
bool is_torch_file(std::span<const uint8_t> head);

}  // namespace pal
