/*
 * boost_mq-none.c - takes boost_mq.cpp's place in a build without Boost or without C++.
 */
#include "absent.h"

BENCH_DEFINE_ABSENT(bench_boost_mq, "boost-mq", "libboost-dev and g++");
