#pragma once
#include <functional>
#include <memory>
#include <string>

#include "runtime/communicator/communicator.h"
#include "runtime/communicator/member_link.h"
#include "runtime/error.h"

namespace pal {

/// A communicator for tensors on the CPU by Gloo, the library behind PyTorch's collectives there:
/// rings of TCP connections between all ranks, which find each other by the hub. `lost` makes the
/// error of what the library says where a connection breaks. Sums that are
/// started are made by a thread of their own. Throws environment in a build without Gloo.
std::unique_ptr<Communicator> make_gloo_communicator(
    MemberLink& link, int rank, int size, std::function<Error(const std::string& why)> lost);

/// "Gloo", or empty in a build without it.
std::string cpu_collectives();
/// The version of its headers: "0.5.0"; empty without it. The library itself tells none.
std::string gloo_version();

}  // namespace pal
