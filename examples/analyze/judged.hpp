// Relevance judgements: several answers a query, of grades, from a qrels file; nDCG@10 and MAP both
// ways (spheremix/metrics/judged_retrieval.hpp has the definitions).
//
// The asking rows are the first modality's, the answering ones the second's; the other way round
// the same judgements are read backwards. They take the analysed rows in double precision, a copy
// of each side in memory.
#pragma once

#include "modality.hpp"
#include "spheremix/metrics/judged_retrieval.hpp"

namespace analyze {

using Judgements = std::vector<spheremix::metrics::Judgement>;

/// Lines "query 0 document grade" as TREC writes them, or "query document grade", with a first line
/// of names or without. A query or document is its name among the given ones, or without names its
/// row number, from 0.
Judgements read_qrels(const std::string& path, const std::vector<std::string>& queries, Index n,
                      const std::vector<std::string>& documents, Index m);

/// Rows of one side: `ids` of them were analysed.
struct JudgedRows {
  const Source& source;
  const std::vector<Index>& ids;
};

/// Adds the figures. Judgements of rows that were not analysed are left out.
void measure_judged(const Judgements& judgements, const JudgedRows& a, const JudgedRows& b,
                    const std::string& how, Json& document, Progress& progress);

}  // namespace analyze
