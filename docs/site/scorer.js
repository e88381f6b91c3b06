// How the search ranks what it finds: pages to read before the API, the API before sources and the changelog.
var Scorer = {
  score: ([page, title, anchor, , score]) => {
    const kind = page.startsWith("source/") ? -30 : /^(CHANGELOG|CONTRIBUTING|notes|packaging)/.test(page) ? -20 : page.startsWith("api/") ? -8 : 0;
    return score + kind;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
