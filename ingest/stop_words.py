"""Words that say nothing of what a text is about, by language: articles, pronouns, prepositions, "how" and "where".

Danish, Dutch, English, Finnish, French, German, Hungarian, Italian, Norwegian, Portuguese, Russian, Spanish, Swedish
and Turkish are Snowball's lists (snowballstem.org, BSD; as PostgreSQL hands them out). The other lists are Quoth's own,
short on purpose: a missing word costs little, as a frequent word weighs little, and a wrong one cannot be found.
"""

from __future__ import annotations

from typing import Final

_LISTS: Final = {
    "ar": """
    في من على إلى الى عن مع هذا هذه ذلك تلك هؤلاء التي الذي الذين اللذان اللتان اللاتي هو هي هم هن أنا نحن أنت أنتم
    انا انت كان كانت كانوا يكون تكون ليس ليست أن إن ان أو او أم ثم لكن لا ما ماذا لماذا متى أين كيف كم هل قد لقد كل
    بعض أي اي غير بين حتى إذا اذا إذ منذ عند عندما حيث بعد قبل خلال ضد حول لم لن كما كذلك أيضا ايضا فقط و ف ب ل ك وهو
    وهي التى فيه فيها منه منها به بها له لها لهم عليه عليها إليه إليها هناك هنا بل لدى نحو يا
    """,
    "ca": """
    a al als amb aquell aquella aquelles aquells aquest aquesta aquestes aquests això allò com d de del dels des doncs
    e el ella elles ells els em en encara ens entre era eren es és est et estan estar està ets fins ha han has havia
    he hem hi ho i jo l la les li llur llurs lo m més meu meva meus meves molt n ni no nosaltres o on per però perquè
    pel pels que què quan qual quals qui quin quina quines quins s se sense ser serà si sí sobre som són sota t també
    te teu teva teus teves tot tota tots totes tu un una unes uns us va van vosaltres vostè
    """,
    "cs": """
    a aby ale ani asi až být byl byla byli bylo byly by bude budou budu co což či do ho i já jak jako je jeho jej její
    jejich jen ještě již jsem jsi jsme jsou jste jim jimi k kam kde kdo kdy kdyby když ke která které kteří který má
    mají máme mít mě mi mne mně moje můj my na nad nám nás náš naše ne nebo není než nic o od on ona oni ono pak po
    pod podle pokud pro proč proto protože před přes při s se si sice sobě svůj své svých ta tak také tam tato tě ten
    tento ti tím to toho tohoto tom tomto tomu tu tuto ty tyto u už v váš ve vám vás více však z za zda zde ze že
    """,
    "da": """
    og i jeg det at en den til er som på de med han af for ikke der var mig sig men et har om vi min havde ham hun nu
    over da fra du ud sin dem os op man hans hvor eller hvad skal selv her alle vil blev kunne ind når være dog noget
    ville jo deres efter ned skulle denne end dette mit også under have dig anden hende mine alt meget sit sine vor
    mod disse hvis din nogle hos blive mange ad bliver hendes været thi jer sådan
    """,
    "de": """
    aber alle allem allen aller alles als also am an ander andere anderem anderen anderer anderes anderm andern anderr
    anders auch auf aus bei bin bis bist da damit dann der den des dem die das dass derselbe derselben denselben
    desselben demselben dieselbe dieselben dasselbe dazu dein deine deinem deinen deiner deines denn derer dessen dich
    dir du dies diese diesem diesen dieser dieses doch dort durch ein eine einem einen einer eines einig einige
    einigem einigen einiger einiges einmal er ihn ihm es etwas euer eure eurem euren eurer eures für gegen gewesen hab
    habe haben hat hatte hatten hier hin hinter ich mich mir ihr ihre ihrem ihren ihrer ihres euch im in indem ins ist
    jede jedem jeden jeder jedes jene jenem jenen jener jenes jetzt kann kein keine keinem keinen keiner keines können
    könnte machen man manche manchem manchen mancher manches mein meine meinem meinen meiner meines mit muss musste
    nach nicht nichts noch nun nur ob oder ohne sehr sein seine seinem seinen seiner seines selbst sich sie ihnen sind
    so solche solchem solchen solcher solches soll sollte sondern sonst über um und uns unse unsem unsen unser unses
    unter viel vom von vor während war waren warst was weg weil weiter welche welchem welchen welcher welches wenn
    werde werden wie wieder will wir wird wirst wo wollen wollte würde würden zu zum zur zwar zwischen
    """,
    "el": """
    ο η το οι τα τον την του τησ των τουσ τισ στο στη στην στον στα στουσ στισ στων και ή κι είτε ούτε μα αλλά όμωσ αν
    εάν ότι πωσ που πού πώσ ποιοσ ποια ποιο ποιοι ποιεσ πότε γιατί τι όταν όπωσ ενώ επειδή ώστε να θα ασ δεν δε μη μην
    με σε για από προσ παρά κατά μετά πριν χωρίσ μέχρι ωσ σαν εγώ εσύ αυτόσ αυτή αυτό αυτοί αυτέσ αυτά αυτού αυτήσ
    αυτών εμείσ εσείσ μου σου μασ σασ είμαι είσαι είναι είμαστε ήταν ήμουν έχω έχει έχουν είχε είχαν ένασ μια μία ένα
    ενόσ μιασ εκείνοσ εκείνη εκείνο
    """,
    "en": """
    i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it
    its itself they them their theirs themselves what which who whom this that these those am is are was were be been
    being have has had having do does did doing would should could ought i'm you're he's she's it's we're they're i've
    you've we've they've i'd you'd he'd she'd we'd they'd i'll you'll he'll she'll we'll they'll isn't aren't wasn't
    weren't hasn't haven't hadn't doesn't don't didn't won't wouldn't shan't shouldn't can't cannot couldn't mustn't
    let's that's who's what's here's there's when's where's why's how's a an the and but if or because as until while
    of at by for with about against between into through during before after above below to from up down in out on off
    over under again further then once here there when where why how all any both each few more most other some such
    no nor not only own same so than too very
    """,
    "eo": """
    la kaj aŭ sed nek ke se ĉar de da al en el je por per pri pro sen sub sur super inter ĉe ĝis post antaŭ kun
    kontraŭ laŭ tra trans dum mi vi li ŝi ĝi ni ili oni si min vin lin ŝin ĝin nin ilin sin mia via lia ŝia ĝia nia
    ilia sia estas estis estos estus esti kiu kiuj kiun kiujn kio kion kia kie kiel kiam kial tiu tiuj tiun tio tion
    tia tie tiel tiam ĉi ĉu ne jes nur ankaŭ jam ankoraŭ pli plej tre do
    """,
    "es": """
    de la que el en y a los del se las por un para con no una su al lo como más pero sus le ya o este sí porque esta
    entre cuando muy sin sobre también me hasta hay donde quien desde todo nos durante todos uno les ni contra otros
    ese eso ante ellos e esto mí antes algunos qué unos yo otro otras otra él tanto esa estos mucho quienes nada
    muchos cual poco ella estar estas algunas algo nosotros mi mis tú te ti tu tus ellas nosotras vosostros vosostras
    os mío mía míos mías tuyo tuya tuyos tuyas suyo suya suyos suyas nuestro nuestra nuestros nuestras vuestro vuestra
    vuestros vuestras esos esas estoy estás está estamos estáis están esté estés estemos estéis estén estaré estarás
    estará estaremos estaréis estarán estaría estarías estaríamos estaríais estarían estaba estabas estábamos estabais
    estaban estuve estuviste estuvo estuvimos estuvisteis estuvieron estuviera estuvieras estuviéramos estuvierais
    estuvieran estuviese estuvieses estuviésemos estuvieseis estuviesen estando estado estada estados estadas estad he
    has ha hemos habéis han haya hayas hayamos hayáis hayan habré habrás habrá habremos habréis habrán habría habrías
    habríamos habríais habrían había habías habíamos habíais habían hube hubiste hubo hubimos hubisteis hubieron
    hubiera hubieras hubiéramos hubierais hubieran hubiese hubieses hubiésemos hubieseis hubiesen habiendo habido
    habida habidos habidas soy eres es somos sois son sea seas seamos seáis sean seré serás será seremos seréis serán
    sería serías seríamos seríais serían era eras éramos erais eran fui fuiste fue fuimos fuisteis fueron fuera fueras
    fuéramos fuerais fueran fuese fueses fuésemos fueseis fuesen sintiendo sentido sentida sentidos sentidas siente
    sentid tengo tienes tiene tenemos tenéis tienen tenga tengas tengamos tengáis tengan tendré tendrás tendrá
    tendremos tendréis tendrán tendría tendrías tendríamos tendríais tendrían tenía tenías teníamos teníais tenían
    tuve tuviste tuvo tuvimos tuvisteis tuvieron tuviera tuvieras tuviéramos tuvierais tuvieran tuviese tuvieses
    tuviésemos tuvieseis tuviesen teniendo tenido tenida tenidos tenidas tened
    """,
    "et": """
    ja ning või ega aga kuid vaid et kui sest nagu kas ei mitte on oli olid olen oled oleme olete olla olnud ole pole
    see selle seda sellel selles sellest need nende neid mina ma sina sa tema ta meie me teie te nemad nad mu su minu
    sinu oma ise kes mis mille mida kelle keda kus kuhu kust millal miks kuidas milline ka veel siis siin seal juba
    ainult väga iga kõik mõni üks
    """,
    "eu": """
    eta edo baina ez bai da dira zen ziren naiz zara gara zarete izan du dute zuen zuten dut dugu duzu dago daude hau
    hori hura hauek horiek haiek ni zu gu zuek nik zuk guk bere haren bat batzuk ere baita ala zer nor non noiz nola
    zein zeren zergatik zenbat dela den diren egin hemen hor han oso baino bezala arte
    """,
    "fa": """
    و در به از که این آن را با است بود شد شده می برای تا بر هم نیز یک یا اما اگر هر چه چرا کجا کی چگونه کدام من تو او
    ما شما آنها ایشان خود هستند هست بودند باشد باشند نیست دارد دارند داشت شود شوند کرد کرده کند کنند خواهد ها های ای
    پس پیش بین روی زیر بی جز چون زیرا همه هیچ دیگر همین همان
    """,
    "fi": """
    olla olen olet on olemme olette ovat ole oli olisi olisit olisin olisimme olisitte olisivat olit olin olimme
    olitte olivat ollut olleet en et ei emme ette eivät minä minun minut minua minussa minusta minuun minulla minulta
    minulle sinä sinun sinut sinua sinussa sinusta sinuun sinulla sinulta sinulle hän hänen hänet häntä hänessä
    hänestä häneen hänellä häneltä hänelle me meidän meidät meitä meissä meistä meihin meillä meiltä meille te teidän
    teidät teitä teissä teistä teihin teillä teiltä teille he heidän heidät heitä heissä heistä heihin heillä heiltä
    heille tämä tämän tätä tässä tästä tähän tallä tältä tälle tänä täksi tuo tuon tuotä tuossa tuosta tuohon tuolla
    tuolta tuolle tuona tuoksi se sen sitä siinä siitä siihen sillä siltä sille siksi nämä näiden näitä näissä näistä
    näihin näillä näiltä näille näinä näiksi nuo noiden noita noissa noista noihin noilla noilta noille noina noiksi
    ne niiden niitä niissä niistä niihin niillä niiltä niille niinä niiksi kuka kenen kenet ketä kenessä kenestä
    keneen kenellä keneltä kenelle kenenä keneksi ketkä keiden keitä keissä keistä keihin keillä keiltä keille keinä
    keiksi mikä minkä mitä missä mistä mihin millä miltä mille miksi mitkä joka jonka jota jossa josta johon jolla
    jolta jolle jona joksi jotka joiden joita joissa joista joihin joilla joilta joille joina joiksi että ja jos koska
    kuin mutta niin sekä tai vaan vai vaikka kanssa mukaan noin poikki yli kun nyt itse
    """,
    "fr": """
    au aux avec ce ces dans de des du elle en et eux il je la le leur lui ma mais me même mes moi mon ne nos notre
    nous on ou par pas pour qu que qui sa se ses son sur ta te tes toi ton tu un une vos votre vous c d j l à m n s t
    y été étée étées étés étant étante étants étantes suis es est sommes êtes sont serai seras sera serons serez
    seront serais serait serions seriez seraient étais était étions étiez étaient fus fut fûmes fûtes furent sois soit
    soyons soyez soient fusse fusses fût fussions fussiez fussent ayant ayante ayantes ayants eu eue eues eus ai as
    avons avez ont aurai auras aura aurons aurez auront aurais aurait aurions auriez auraient avais avait avions aviez
    avaient eut eûmes eûtes eurent aie aies ait ayons ayez aient eusse eusses eût eussions eussiez eussent
    """,
    "ga": """
    a ach ag agus an ar as ba cad cá cén cé conas chun dá de den do don é faoi freisin fós go í iad idir in ina is le
    leis má mar mé mo na nach ní níl nó nuair ó ón os sa san sé seo sí sibh sin sinn siad tá tar thar tú um bhí bíonn
    bhfuil raibh
    """,
    "hi": """
    और या पर में से को का की के ने है हैं था थी थे हूँ हो होता होती होते हुआ हुई हुए यह ये वह वे इस इन उस उन इसे उसे
    इसका इसकी इसके उसका उसकी उसके मैं हम तुम आप मेरा मेरी मेरे हमारा हमारी हमारे आपका आपकी आपके जो जिस जिन जिसे कि
    क्या कौन कब कहाँ कहां क्यों कैसे कितना कितने कितनी किस किन ही भी तो न नहीं मत अगर यदि तक लिए साथ बाद पहले एक कुछ
    सब अपना अपनी अपने कर करके गया गई गए रहा रही रहे वाला वाली वाले लेकिन
    """,
    "hu": """
    a ahogy ahol aki akik akkor alatt által általában amely amelyek amelyekben amelyeket amelyet amelynek ami amit
    amolyan amíg amikor át abban ahhoz annak arra arról az azok azon azt azzal azért aztán azután azonban bár be belül
    benne cikk cikkek cikkeket csak de e eddig egész egy egyes egyetlen egyéb egyik egyre ekkor el elég ellen elő
    először előtt első én éppen ebben ehhez emilyen ennek erre ez ezt ezek ezen ezzel ezért és fel felé hanem hiszen
    hogy hogyan igen így illetve ill. ill ilyen ilyenkor ison ismét itt jó jól jobban kell kellett keresztül keressünk
    ki kívül között közül legalább lehet lehetett legyen lenne lenni lesz lett maga magát majd már más másik meg még
    mellett mert mely melyek mi mit míg miért milyen mikor minden mindent mindenki mindig mint mintha mivel most nagy
    nagyobb nagyon ne néha nekem neki nem néhány nélkül nincs olyan ott össze ő ők őket pedig persze rá s saját sem
    semmi sok sokat sokkal számára szemben szerint szinte talán tehát teljes tovább továbbá több úgy ugyanis új újabb
    újra után utána utolsó vagy vagyis valaki valami valamint való vagyok van vannak volt voltam voltak voltunk vissza
    vele viszont volna
    """,
    "hy": """
    եւ ու կամ բայց որ եթե քանի թե ես դու նա մենք դուք նրանք իմ քո նրա մեր ձեր նրանց այս այդ այն սա դա եմ է ենք եք են
    էի էիր էր էինք էիք էին ինչ ով որտեղ երբ ինչպես ինչու որը որի որոնք համար հետ մեջ վրա մասին ից ոչ չի նաեւ էլ իր
    """,
    "id": """
    yang dan di ke dari untuk pada dengan dalam oleh itu ini tersebut adalah ialah merupakan akan telah sudah sedang
    masih belum tidak bukan jangan atau tetapi tapi namun jika kalau bila karena sebab agar supaya bahwa sebagai
    seperti saya aku kami kita kamu anda dia ia mereka nya apa apakah siapa mana dimana kapan mengapa kenapa bagaimana
    berapa juga hanya saja lagi pun para antara bagi hingga sampai serta maka ada dapat bisa
    """,
    "it": """
    ad al allo ai agli all agl alla alle con col coi da dal dallo dai dagli dall dagl dalla dalle di del dello dei
    degli dell degl della delle in nel nello nei negli nell negl nella nelle su sul sullo sui sugli sull sugl sulla
    sulle per tra contro io tu lui lei noi voi loro mio mia miei mie tuo tua tuoi tue suo sua suoi sue nostro nostra
    nostri nostre vostro vostra vostri vostre mi ti ci vi lo la li le gli ne il un uno una ma ed se perché anche come
    dov dove che chi cui non più quale quanto quanti quanta quante quello quelli quella quelle questo questi questa
    queste si tutto tutti a c e i l o ho hai ha abbiamo avete hanno abbia abbiate abbiano avrò avrai avrà avremo
    avrete avranno avrei avresti avrebbe avremmo avreste avrebbero avevo avevi aveva avevamo avevate avevano ebbi
    avesti ebbe avemmo aveste ebbero avessi avesse avessimo avessero avendo avuto avuta avuti avute sono sei è siamo
    siete sia siate siano sarò sarai sarà saremo sarete saranno sarei saresti sarebbe saremmo sareste sarebbero ero
    eri era eravamo eravate erano fui fosti fu fummo foste furono fossi fosse fossimo fossero essendo faccio fai
    facciamo fanno faccia facciate facciano farò farai farà faremo farete faranno farei faresti farebbe faremmo
    fareste farebbero facevo facevi faceva facevamo facevate facevano feci facesti fece facemmo faceste fecero facessi
    facesse facessimo facessero facendo sto stai sta stiamo stanno stia stiate stiano starò starai starà staremo
    starete staranno starei staresti starebbe staremmo stareste starebbero stavo stavi stava stavamo stavate stavano
    stetti stesti stette stemmo steste stettero stessi stesse stessimo stessero stando
    """,
    "lt": """
    ir ar bet o kad jei jeigu nes kaip kai kol kur kada kodėl kas ką kam kuris kuri kurie kurios kurio kurių kurį aš
    tu jis ji mes jūs jie jos mano tavo jo jų mūsų jūsų savo save šis ši šie šios šio tas ta tie tos to tai yra buvo
    bus būti esu esi esame nėra ne nei taip pat dar jau tik į iš su be prie per po nuo iki už apie ant dėl pagal prieš
    tarp tačiau arba
    """,
    "ne": """
    र वा तर कि मा बाट को का की ले लाई हो हुन् हुन छ छन् छु छौं थियो थिए थिइन् यो यी त्यो ती यस त्यस यसको त्यसको म हामी
    तिमी तपाईं उनी उनीहरू ऊ मेरो हाम्रो तिम्रो तपाईंको उनको के कहाँ कहिले किन कसरी कति कुन जुन जो पनि नै मात्र छैन
    होइन यदि भने भन्ने लागि सँग पछि अघि गरेको गर्न हुने भएको भयो एक
    """,
    "nl": """
    de en van ik te dat die in een hij het niet zijn is was op aan met als voor had er maar om hem dan zou of wat mijn
    men dit zo door over ze zich bij ook tot je mij uit der daar haar naar heb hoe heeft hebben deze u want nog zal me
    zij nu ge geen omdat iets worden toch al waren veel meer doen toen moet ben zonder kan hun dus alles onder ja eens
    hier wie werd altijd doch wordt wezen kunnen ons zelf tegen na reeds wil kon niets uw iemand geweest andere
    """,
    "no": """
    og i jeg det at en et den til er som på de med han av ikke ikkje der så var meg seg men ett har om vi min mitt ha
    hadde hun nå over da ved fra du ut sin dem oss opp man kan hans hvor eller hva skal selv sjøl her alle vil bli ble
    blei blitt kunne inn når være kom noen noe ville dere deres kun ja etter ned skulle denne for deg si sine sitt mot
    å meget hvorfor dette disse uten hvordan ingen din ditt blir samme hvilken hvilke sånn inni mellom vår hver hvem
    vors hvis både bare enn fordi før mange også slik vært båe begge siden dykk dykkar dei deira deires deim di då eg
    ein eit eitt elles honom hjå ho hoe henne hennar hennes hoss hossen ingi inkje korleis korso kva kvar kvarhelst
    kven kvi kvifor me medan mi mine mykje no nokon noka nokor noko nokre sia sidan so somt somme um upp vere vore
    verte vort varte vart
    """,
    "pl": """
    a aby albo ale ani bardzo bez bo być był była było były będą będzie by byłby bym chyba ci ciebie co coś czy czyli
    czym dla do dlaczego gdy gdzie go i ich ile im ja jak jaka jaki jakie jako je jego jej jemu jest jestem jeszcze
    jeśli jeżeli już kiedy kto która które którego której który których którym którzy lub ma mają mi mnie mną mój moja
    moje może my na nad nam nami nas nasz nasza nasze nią nich nie niej nim niż no o od on ona one oni ono oraz pan po
    pod ponieważ przed przez przy sam są się sobie swój swoje ta tak tam te tego tej ten też to tobie tu twój twoja
    twoje ty tych tylko tym u w was wam we więc wszystko wy z za ze że żeby
    """,
    "pt": """
    de a o que e do da em um para com não uma os no se na por mais as dos como mas ao ele das à seu sua ou quando
    muito nos já eu também só pelo pela até isso ela entre depois sem mesmo aos seus quem nas me esse eles você essa
    num nem suas meu às minha numa pelos elas qual nós lhe deles essas esses pelas este dele tu te vocês vos lhes meus
    minhas teu tua teus tuas nosso nossa nossos nossas dela delas esta estes estas aquele aquela aqueles aquelas isto
    aquilo estou está estamos estão estive esteve estivemos estiveram estava estávamos estavam estivera estivéramos
    esteja estejamos estejam estivesse estivéssemos estivessem estiver estivermos estiverem hei há havemos hão houve
    houvemos houveram houvera houvéramos haja hajamos hajam houvesse houvéssemos houvessem houver houvermos houverem
    houverei houverá houveremos houverão houveria houveríamos houveriam sou somos são era éramos eram fui foi fomos
    foram fora fôramos seja sejamos sejam fosse fôssemos fossem for formos forem serei será seremos serão seria
    seríamos seriam tenho tem temos tém tinha tínhamos tinham tive teve tivemos tiveram tivera tivéramos tenha
    tenhamos tenham tivesse tivéssemos tivessem tiver tivermos tiverem terei terá teremos terão teria teríamos teriam
    """,
    "ro": """
    a ai al ale am ar are aș ași asta au avea aceasta această aceste acest acesta acestea acestei acești acestor
    acestui acel acea acei acele aceia ca că care căci când cât câți câte ce cel cea cei cele celor cine cu cui cum da
    dar dacă de deci deși din după e ea ei ele el era erau este ești eu fi fie fiind fost iar îi il îl îmi în înainte
    își îți la le li lor lui mai mea mei mele meu mi mă ne nici nimic noi nostru noastră noștri nu o ori pe pentru
    peste până prin s sa sale sau se sunt suntem sunteți să săi său si și spre sub ta tale te ți tu tău un una unde
    unei unele unor unui va vă voi vor vreo
    """,
    "ru": """
    и в во не что он на я с со как а то все она так его но да ты к у же вы за бы по только ее мне было вот от меня еще
    нет о из ему теперь когда даже ну вдруг ли если уже или ни быть был него до вас нибудь опять уж вам ведь там потом
    себя ничего ей может они тут где есть надо ней для мы тебя их чем была сам чтоб без будто чего раз тоже себе под
    будет ж тогда кто этот того потому этого какой совсем ним здесь этом один почти мой тем чтобы нее сейчас были куда
    зачем всех никогда можно при наконец два об другой хоть после над больше тот через эти нас про всего них какая
    много разве три эту моя впрочем хорошо свою этой перед иногда лучше чуть том нельзя такой им более всегда конечно
    всю между
    """,
    "sr": """
    и у на је да се за од са о су као али или ако јер што шта ко који која које којег кога којој којих којима где када
    кад како зашто ја ти он она оно ми ви они оне мој твој његов њен наш ваш њихов свој овај ова ово ови тај та то
    онај сам си смо сте био била било били бити ће ћу не није нису ни до из по под над пред при без између према због
    само још већ i u na je da se za od sa o su kao ali ili ako jer što šta ko koji koja koje kojeg koga kojoj kojih
    kojima gde kada kad kako zašto ja ti on ona ono mi vi oni one ovaj ova ovo ovi taj ta to onaj sam si smo ste bio
    bila bilo bili biti će ću ne nije nisu ni do iz po pod nad pred pri bez između prema zbog samo još već
    """,
    "st": """
    le la li ke ka ho hore ha e o a ba bo di tsa ya wa sa mo mme kapa empa jwale hona hape na eng mang kae neng jwang
    hobaneng tse tsena ena eo sena tseo bona rona lona nna wena yena ne se
    """,
    "sv": """
    och det att i en jag hon som han på den med var sig för så till är men ett om hade de av icke mig du henne då sin
    nu har inte hans honom skulle hennes där min man ej vid kunde något från ut när efter upp vi dem vara vad över än
    dig kan sina här ha mot alla under någon eller allt mycket sedan ju denna själv detta åt utan varit hur ingen mitt
    ni bli blev oss din dessa några deras blir mina samma vilken er sådan vår blivit dess inom mellan sådant varför
    varje vilka ditt vem vilket sitta sådana vart dina vars vårt våra ert era vilkas
    """,
    "ta": """
    ஒரு என்று மற்றும் இந்த அந்த இது அது என என்ற என்பது ஆகும் ஆகிய உள்ள உள்ளது இருந்து நான் நாம் நாங்கள் நீ நீங்கள்
    அவர் அவர்கள் அவன் அவள் எந்த என்ன யார் எங்கே எப்போது ஏன் எப்படி எவ்வளவு அல்லது ஆனால் மேலும் போன்ற வரை பின்னர் முன்
    தான் இல்லை கூட
    """,
    "tr": """
    acaba ama aslında az bazı belki biri birkaç birşey biz bu çok çünkü da daha de defa diye eğer en gibi hem hep
    hepsi her hiç için ile ise kez ki kim mı mu mü nasıl ne neden nerde nerede nereye niçin niye o sanki şey siz şu
    tüm ve veya ya yani
    """,
    "yi": """
    און אָדער אבער אָבער אַז אז די דער דאָס דאס דעם דעמ א אַ אַן אין אויף פון פֿון פאר פֿאַר מיט צו ביי בײַ נאָך נאך
    פֿאַרן איך דו ער זי עס מיר איר זיי מיך דיך אים איז ביסט בין זענען זײַנען געווען האָט האט האָבן האבן וואָס וואס
    ווער ווען ווו ווי פארוואס פֿאַרוואָס נישט ניט אויך נאָר נאר זיך
    """,
    "yo": """
    e ni ti sí si àti ati tí wọn won ó o ń n fún fun ní láti lati nínú ninu bí bi kí ki kò ko pé pe ṣe se jẹ je wà wa
    yìí yii náà naa àwọn awon mo ẹ a rẹ re kan ọ tàbí tabi ṣùgbọ́n sugbon kíni kini èwo ewo wo báwo bawo nígbà nigba
    ibo
    """,
}  # fmt: skip

STOP_WORDS: Final = {  # ISO 639-1, all case folded
    **{language: frozenset(words.split()) for language, words in _LISTS.items()},
    "nb": frozenset(_LISTS["no"].split()),
    "nn": frozenset(_LISTS["no"].split()),
}
