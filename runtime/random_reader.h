#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "runtime/file_stamp.h"

namespace pal {

/// Bytes that can be read anywhere, by any number of threads at once.
class RandomReader {
 public:
  virtual ~RandomReader() = default;
  /// The name that the bytes have in messages.
  virtual const std::string& name() const = 0;
  /// How many bytes there are.
  virtual int64_t size() const = 0;
  /// Fills `out` with the bytes from `offset` on. Throws data if there are not as many bytes or no
  /// longer, environment if the system cannot read them.
  virtual void read(int64_t offset, std::span<uint8_t> out) const = 0;
};

/// Reads bytes in memory, which must outlive the reader.
class MemoryReader : public RandomReader {
 public:
  /// `name` stands in messages.
  MemoryReader(std::span<const uint8_t> bytes, std::string name);
  const std::string& name() const override { return name_; }
  int64_t size() const override { return static_cast<int64_t>(bytes_.size()); }
  void read(int64_t offset, std::span<uint8_t> out) const override;

 private:
  std::span<const uint8_t> bytes_;
  std::string name_;
};

/// Reads a regular file piece by piece (never mapped: a file that shrinks must not kill). Opening
/// never blocks.
class FileReader : public RandomReader {
 public:
  /// Throws data if the file is gone, may not be read, or is no regular file, environment for
  /// other failures. `name` stands in messages.
  FileReader(const std::string& path, std::string name);
  ~FileReader() override;
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  const std::string& name() const override { return name_; }
  int64_t size() const override { return stamp_.size; }
  /// The file's stamp when it was opened.
  const FileStamp& stamp() const { return stamp_; }
  void read(int64_t offset, std::span<uint8_t> out) const override;
  /// Tells the system not to read ahead.
  void expect_jumps() const;

 private:
  std::string name_;
  int file_;
  FileStamp stamp_;
};

/// Whether a system error speaks about the file itself (gone, not a file, not allowed) rather than
/// about the machine.
bool is_file_fault(int error_number);

}  // namespace pal
