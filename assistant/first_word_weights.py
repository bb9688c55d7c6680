"""The weights that tell names among first words, and how they were made.

Written by `python -m evals.bench.first_words SQUAD_FOLDER HANDBOOK_FOLDER ... --write`: logistic regression (ridge 3)
on the words of 2,500 sentences of SQuAD's paragraphs and 2,500 of two public handbooks. They belong to the shipped
encoder: 384 half-precision numbers, in base 85.
"""

from __future__ import annotations

from typing import Final

INTERCEPT: Final = -1.8738
THRESHOLD: Final = 0.5
WEIGHTS: Final = (
    "K)?_{2)vs-mAp|pslng4g_aXI^0zX)mbSLHRyq$Qg*~&q6GV8tX1rgxNw+e)#5dwOa5rx=|GTBULBIUK$hNe+?zd*SCM<KdC^e8c"
    "2)mgw;w`K?N<RZQZ7xVT95<gi_BaB$^R4-"
    "{hCc&8AG^yoeH+xSQngw!dAeLc2e}cqPP>dh2|PNx60YyKa=m!IO|FT%HM?26C^P;&sXN6shQKkn;<{ci&p04DR=CSN6)^s>nZaV"
    "N8n_(2gSU%0P{C?K;<-"
    "vZ=ekigwXt|MFu4#qH9f7XjT}oF^1S`CMzq4X7d)G>B|K8aIx=fKm%L~>y0^8y8aV&};5etf=R9Y`alq`lb3La(dA7nRl00F(O|("
    "@r?lT#(b-$&(udqJ5Vlwio8aX1q!9YblK(#t4&_R7f{Ji-pEw&oBt1+I#Ai<r#R=puQOuFte@42C}Wj(Jm9Kj1VBSL>T^f^hn9lU"
    "L>Pqb*jQL<$@Sv?;=a4|PS4?ZTdH^Q;La6ErB!@xW|H$7oJ{z7fF?7I25cCr~Da;mPoAiHKk9X)tBMzAxuy}0Q<dbl~iB*GN7?K}"
    "v<NWB06$Gu)R06rT+Ot>t+nn43K{Hs&IDnw{83qAlb4LkU}NkSn!aWt~N!?Xgtn6_iMKD`P+c0hMO7r62?7`SFS9W?Jfw?2WI);r"
    "Wd=QXmmiMsbR-Yf|~Ogx;o2e1aTIXGKBoVw++qqa3XE4D7RfxYy%pT66)c{?*c6F3Dh>b#A-*Sk}-"
    "NVqn<k37h~guVv3(mNBpQ8|n`jJ(;w@I5NFA2u&SXD}N$Q$J8P>Nc&cMLDfNyFe#9lsp0e<hpP*OUC&-"
    "?zLw(NVZHlT(vSnVnG2u>bzmQ@v(@#NVpL{5l0_45jMXufi_sSo~DGk;I5Xv+BP1+mbx4yIlb_?robD#5IcLl+q9QEm^n#7c|mr)"
    "K)gdZ-8>S#sy*YkFg8xVEI89U>$$r($25bqDZQvU<Ur}Y!na+*"
)
