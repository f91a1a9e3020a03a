#pragma once
#include <memory>
#include <string>

#include "autograd/invertible.h"
#include "autograd/parameter.h"
#include "layers/subnet.h"
#include "tests/support/golden.h"

namespace pal::testing {

/// The layers of `subnet.<prefix>` in a golden file's metadata ("Conv2d(3, 8, ...)", ...).
SubnetSpec golden_subnet(const GoldenFile& golden, const std::string& prefix);

/// The coupling block of a `coupling_*` file, built from its metadata.
std::unique_ptr<InvertibleBlock> golden_coupling(const GoldenFile& golden);

/// Copies a golden tensor into a parameter or buffer of another dtype, whatever extents of 1 say.
void copy_golden(const GoldenFile& golden, const std::string& name, const Tensor& target);

/// Fills a fixed mixing buffer: "w_index" from one-hot rows of `w` (or from `w_index`), "w" and
/// "w_0" as they are.
void copy_golden_mixing(const GoldenFile& golden, const std::string& prefix,
                        const std::string& buffer_name, const Tensor& target);

}  // namespace pal::testing
